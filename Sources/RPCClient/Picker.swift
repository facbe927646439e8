/// How a server stands with its channel; the better one is the lesser.
enum Standing: UInt8, Sendable, Comparable {
    /// It has a session and takes calls.
    case ready
    /// It has a session, and asked not to be called for a moment.
    case resting
    /// It has a session, and has been silent for longer than a live server would.
    case suspect
    /// It has no session, or is about to end it.
    case away
    /// It does not want this client.
    case refusing

    static func < (left: Standing, right: Standing) -> Bool { left.rawValue < right.rawValue }
}

/// What a picker has to know of a server.
struct Candidate: Equatable {
    var standing = Standing.ready
    /// Calls that wait or run there, as far as this side knows.
    var load = 0
    /// It may be sent calls that have failed before.
    var allowsRetries = true
}

/// Chooses a server for one try: of those that stand best, the less loaded of two at random (Mitzenmacher, "The power of
/// two choices", 2001). The least loaded of all would draw every client of a cluster to the same server at once.
///
/// Pure: no clock, and no randomness of its own.
enum Picker {
    /// - Parameters:
    ///   - avoided: the server of the last try: it is taken only where no other one is ready.
    ///   - isRetry: the call has failed before, so that servers that allow no retries are none to choose.
    /// - Returns: the index of a server, or nil where none may be sent the call.
    static func choose(
        among count: Int, avoiding avoided: Int? = nil, isRetry: Bool = false,
        random: inout some RandomNumberGenerator, _ candidate: (Int) -> Candidate
    ) -> Int? {
        var best = Standing.refusing
        // Two of the best so far, each pair of them equally likely (reservoir sampling: Vitter, algorithm R).
        var pair: (first: (index: Int, load: Int)?, second: (index: Int, load: Int)?)
        var seen = 0
        for index in 0..<count {
            var server = candidate(index)
            if isRetry && !server.allowsRetries { continue }
            if index == avoided { server.standing = max(server.standing, .suspect) }
            if server.standing > best { continue }
            if server.standing < best || seen == 0 {
                best = server.standing
                pair = (nil, nil)
                seen = 0
            }
            seen += 1
            if pair.first == nil {
                pair.first = (index, server.load)
            } else if pair.second == nil {
                pair.second = (index, server.load)
            } else {
                switch Int.random(in: 0..<seen, using: &random) {
                case 0: pair.first = (index, server.load)
                case 1: pair.second = (index, server.load)
                default: break
                }
            }
        }
        guard let first = pair.first, let second = pair.second else { return pair.first?.index }
        if first.load == second.load { return Bool.random(using: &random) ? first.index : second.index }
        return first.load < second.load ? first.index : second.index
    }
}
