import RPC
import ZeroMQ

/// Which calls are taken. Nothing here looks at a payload or takes a lock.
extension Frontend {
    /// Why a call is not taken: the counter that it goes to, and what its caller is told.
    typealias Refused = (reason: RefusalReason, failure: PreparedFailure)

    /// - Parameter deadline: of the call; later than `now`.
    func refusal(
        of method: Int, payload: Frame, session: Session, deadline: Deadline, at now: MonotonicTime
    ) -> Refused? {
        var load = methods.admissions[method]
        dispatcher.loads[method].read(into: &load)
        load.waiting += admittedOfMethod[method].calls
        load.waitingBytes += admittedOfMethod[method].bytes
        load.busyMethods = dispatcher.readyCount
        let lane = session.lanes.lane(for: method)
        let client = Admission.Client(
            inFlightOfSession: session.calls.count, inFlight: session.lanes.inFlight,
            waiting: lane.waiting + (load.sharesExecutions ? 0 : lane.admitted))
        let total = Admission.Total(inFlight: inFlight.count, payloadBytes: inFlight.payloadBytes)
        let refusal = admission.refusal(
            payload: payload.count, remaining: deadline.time.microseconds(since: now), client, load, total)
        return refusal.map { describe($0, payload: payload.count) }
    }

    private func describe(_ refusal: Admission.Refusal, payload: Int) -> Refused {
        switch refusal {
        case .payloadTooLarge(let limit):
            let error = RPCError(
                .resourceExhausted, reason: RefusalReason.messageTooLarge.rawValue,
                "the request has \(payload) bytes, the limit is \(limit); send less at once", disposition: .notExecuted)
            return (.messageTooLarge, PreparedFailure(error))
        case .sessionHasTooMany:
            let text = "this session has \(limits.maxInFlightPerSession) calls in flight already"
            return (.tooManyInFlight, PreparedFailure(.overloaded(.tooManyInFlight, text)))
        case .clientHasTooMany:
            let text = "this client has \(limits.maxInFlightPerClient) calls in flight already, in all its sessions"
            return (.tooManyInFlight, PreparedFailure(.overloaded(.tooManyInFlight, text)))
        case .serverIsFull:
            return (.queueFull, Self.serverIsFull)
        case .queueIsFull:
            return (.queueFull, Self.queueIsFull)
        case .wouldWait(let microseconds):
            return (.queueFull, .wouldWait(retryAfterMicroseconds: microseconds))
        }
    }

    private static let serverIsFull = PreparedFailure(.overloaded(.queueFull, "the server has all the calls that it can hold"))
    private static let queueIsFull = PreparedFailure(.overloaded(.queueFull, "as many calls of this method wait as may"))

    /// Whether a request carries more metadata than it may.
    func metadataFailure(_ extensions: HeaderExtension) -> RPCError? {
        let pairs = extensions.metadata.count
        let bytes = extensions.metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard pairs > limits.maxMetadataPairs || bytes > limits.maxMetadataBytes else { return nil }
        return RPCError(
            .resourceExhausted, reason: RefusalReason.metadataTooLarge.rawValue,
            "the request has \(pairs) metadata pairs of \(bytes) bytes, the limits are \(limits.maxMetadataPairs) and "
                + "\(limits.maxMetadataBytes)", disposition: .notExecuted)
    }
}
