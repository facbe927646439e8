import RPC

/// Whether a call is admitted: what is counted of its client, its method and the server, against the limits, and the time that
/// it would wait against the time that it has.
///
/// The estimate of the wait makes overload a normal state. A call that would wait too long is refused when it arrives, which
/// costs next to nothing, so workers have only work that can still be answered in time. As a method's clients are served
/// in turn, a call waits for its own client's calls and as many of each other's: whoever floods the server is refused, and a client
/// with few calls, whose turn comes soon, is not.
///
/// Pure: no thread, no clock, no I/O.
struct Admission {
    let limits: ServerLimits
    /// Threads that carry out calls.
    let workers: Int

    /// How much of a call's time it may spend waiting, by the estimate: one part in so many. The rest is for the handler, for the
    /// way back, and for estimates that are too good; and the shorter the queues, the sooner all is as before when there is
    /// less to do again.
    static let waitingShare: UInt64 = 3

    /// What waits for a method, as the dispatcher last said, and what was admitted since.
    struct Method: Sendable {
        var priority = CallPriority.normal
        var maxRequestBytes = Int.max
        /// Batches that may run at once.
        var concurrency = Int.max
        /// Calls that are taken at once where so many wait.
        var callsPerTurn = 1
        /// Whether calls that are equal to one that waits cost nothing: of those that were just admitted nobody knows.
        var sharesExecutions = false
        /// What a turn took lately; 0 where nothing is known yet.
        var turnNanoseconds: UInt64 = 0
        /// Clients with waiting calls.
        var lanes = 0
        /// Waiting calls, of all clients, and their bytes.
        var waiting = 0
        var waitingBytes = 0
        /// Methods that workers have to be shared with, this one included.
        var busyMethods = 1
    }

    /// What a call's client has already.
    struct Client: Sendable {
        var inFlightOfSession = 0
        var inFlight = 0
        /// Its calls that wait for the method.
        var waiting = 0
    }

    /// What the server has already.
    struct Total: Sendable {
        var inFlight = 0
        var payloadBytes = 0
    }

    /// Why a call is refused.
    enum Refusal: Equatable, Sendable {
        case payloadTooLarge(limit: Int)
        case sessionHasTooMany
        case clientHasTooMany
        case serverIsFull
        case queueIsFull
        /// It would wait too long; worth another try after that time.
        case wouldWait(retryAfterMicroseconds: UInt64)
    }

    /// - Parameter remaining: microseconds that the call has left.
    func refusal(payload: Int, remaining: UInt64, _ client: Client, _ method: Method, _ total: Total) -> Refusal? {
        let maxBytes = min(method.maxRequestBytes, limits.maxRequestBytes)
        if payload > maxBytes { return .payloadTooLarge(limit: maxBytes) }
        if client.inFlightOfSession >= limits.maxInFlightPerSession { return .sessionHasTooMany }
        if client.inFlight >= limits.maxInFlightPerClient { return .clientHasTooMany }
        let isHigh = method.priority == .high
        if total.inFlight >= limits.maxInFlight + (isHigh ? limits.reservedInFlight : 0)
            || total.payloadBytes + payload > limits.maxInFlightBytes + (isHigh ? limits.reservedInFlightBytes : 0) {
            return .serverIsFull
        }
        if method.waiting >= limits.maxQueuedPerMethod
            || method.waiting > 0 && method.waitingBytes + payload > limits.maxQueuedBytesPerMethod {
            return .queueIsFull
        }
        let wait = estimatedWait(client, method)
        let mayWait = remaining / Self.waitingShare
        return wait > mayWait ? .wouldWait(retryAfterMicroseconds: wait - mayWait) : nil
    }

    /// Microseconds until a worker would begin with the next call of this client.
    func estimatedWait(_ client: Client, _ method: Method) -> UInt64 {
        guard method.waiting > 0, method.turnNanoseconds > 0 else { return 0 }
        let otherLanes = max(0, method.lanes - (client.waiting > 0 ? 1 : 0))
        // Of each other client, at most one call more than of this one is served before.
        let ahead = min(method.waiting, client.waiting + otherLanes * (client.waiting + 1))
        let atOnce = max(1, min(method.concurrency, workers / max(1, method.busyMethods)))
        let turns = Double(ahead) / Double(max(1, method.callsPerTurn))
        return UInt64(turns * Double(method.turnNanoseconds) / Double(atOnce) / 1000)
    }
}
