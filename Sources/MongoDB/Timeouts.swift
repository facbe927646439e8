/// How long each step of a database call may take. libmongoc's own defaults (30 s to select a server, 300 s on a socket)
/// are far beyond any caller's patience.
package struct Timeouts: Sendable, Equatable {
    package var connect: Duration
    package var serverSelection: Duration
    package var socket: Duration
    /// How long a thread waits for a client when all are taken.
    package var waitQueue: Duration
    /// The longest `maxTimeMS` of a command, below the socket's timeout so that the database stops first.
    package var maxTime: Duration

    /// How often the monitors ask each server; one that does not answer for this long plus `connect` counts as away.
    static let heartbeat = Duration.seconds(2)

    package init(connect: Duration, serverSelection: Duration, socket: Duration, waitQueue: Duration, maxTime: Duration) {
        self.connect = connect
        self.serverSelection = serverSelection
        self.socket = socket
        self.waitQueue = waitQueue
        self.maxTime = maxTime
    }

    /// For work that a caller waits for: a database that is away is noticed within 3 s.
    ///
    /// - libmongoc tries a read or a write once more after a broken connection, and takes an answer that does not come for
    ///   one: a server that is stopped costs twice the socket's timeout.
    /// - After a broken connection it takes libmongoc 1.23 a whole second to trust the same server again (its monitor
    ///   wakes up every 500 ms, then waits 500 ms), so that with one second to select a server that second try often
    ///   finds none.
    package static let calls = Timeouts(
        connect: .seconds(1), serverSelection: .milliseconds(1_500), socket: .milliseconds(1_400),
        waitQueue: .milliseconds(500), maxTime: .milliseconds(1_200))

    /// For index builds, repair, generators and reports.
    package static let background = Timeouts(
        connect: .seconds(5), serverSelection: .seconds(15), socket: .seconds(300), waitQueue: .seconds(30),
        maxTime: .seconds(290))

    /// The `maxTimeMS` for a command whose caller has `remaining` left (nil: no limit of its own).
    ///
    /// Throws `.timeout` when nothing is left, as 0 would mean "no limit" to MongoDB.
    package func maxTimeMilliseconds(remaining: Duration?) throws(MongoError) -> Int64 {
        try check(remaining: remaining)
        return max(1, min(remaining ?? maxTime, maxTime).wholeMilliseconds)
    }

    /// Asked before every command: throws `.timeout`, which has changed nothing, when nothing is left.
    func check(remaining: Duration?) throws(MongoError) {
        if let remaining, remaining <= .zero { throw MongoError(.timeout, "no time was left to begin the operation") }
    }
}

extension Duration {
    /// Rounded down.
    var wholeMilliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
