import Protobuf
import RPC
import Synchronization
import ZeroMQ

/// A call on its way through the server: from the frontend to a worker's handler and back.
///
/// The frontend makes it and is the only one to send its answer; handlers answer through the frontend's mailbox.
final class Call: IncomingCall, @unchecked Sendable {
    let identity: Identity
    let deadline: Deadline
    /// As the caller sent them, then as interceptors changed them: the worker's, before it hands the call to the handler.
    @exclusivity(unchecked) private(set) var traceparent: String?
    @exclusivity(unchecked) private(set) var metadata: [(key: String, value: String)]

    /// Id that the client gave it.
    let id: UInt64
    /// ROUTER's name of the connection it came through.
    let peer: PeerID
    let arrival: MonotonicTime
    /// Index of its method in the server's table.
    let method: Int
    let payload: Frame
    let stages: CallStages?
    private let interception: Interception?

    private let frontend: Mailbox<FrontendInput>
    /// 0: nobody answered; 1: a handler did.
    private let isAnswered = Atomic<Bool>(false)
    private let abandoned = Atomic<Bool>(false)
    private let unavailable = Atomic<Bool>(false)
    /// 0 while it waits; `neverStarts` where it was given up before a worker began with it; else when one did. Decided once,
    /// so that a call of which somebody was told that it did not run will not run.
    private let startedAt = Atomic<UInt64>(0)
    private static let neverStarts = UInt64.max

    /// What the handler said. Written once, by who set `isAnswered`, before the call is posted to the frontend; read there.
    @exclusivity(unchecked) private(set) var answer: Answer?
    /// Calls with an equal payload that wait behind this one. Protected by the dispatcher's lock.
    @exclusivity(unchecked) var followers: [Call] = []
    /// Where it is in the table of calls in flight. Belongs to the frontend thread.
    @exclusivity(unchecked) var tableIndex = -1

    init(
        header: FrameHeader, extensions: HeaderExtension, peer: PeerID, identity: Identity, method: Int, payload: Frame,
        arrival: MonotonicTime, deadline: Deadline, stages: CallStages? = nil,
        interception: Interception? = nil, frontend: Mailbox<FrontendInput>
    ) {
        self.identity = identity
        self.deadline = deadline
        self.traceparent = extensions.traceparent
        self.metadata = extensions.metadata
        self.id = header.id
        self.peer = peer
        self.arrival = arrival
        self.method = method
        self.payload = payload
        self.stages = stages
        self.interception = interception
        self.frontend = frontend
    }

    // MARK: The way through the server

    /// A worker begins with it; false where it was given up before.
    func start(at time: MonotonicTime) -> Bool {
        startedAt.compareExchange(expected: 0, desired: time.nanoseconds, ordering: .relaxed).exchanged
    }

    /// When a worker began with it; nil while it waits, and for ever where it was given up before.
    var started: MonotonicTime? {
        let nanoseconds = startedAt.load(ordering: .relaxed)
        return nanoseconds == 0 || nanoseconds == Self.neverStarts ? nil : MonotonicTime(nanoseconds: nanoseconds)
    }

    /// No worker will begin with it; false where one has.
    func giveUp() -> Bool {
        let (exchanged, original) = startedAt.compareExchange(expected: 0, desired: Self.neverStarts, ordering: .relaxed)
        return exchanged || original == Self.neverStarts
    }

    /// Nobody waits for the answer any more, which has become `error`.
    func abandon(_ error: RPCError) {
        abandoned.store(true, ordering: .relaxed)
        interception?.end(error)
    }

    /// Tells the interceptors, and takes over what they changed; false where one refused, which answers the call. The worker's.
    func passInterceptors() -> Bool {
        guard let interception else { return true }
        switch interception.begin(self) {
        case .success(let seen):
            metadata = seen.metadata
            traceparent = seen.traceparent
            return true
        case .failure(let error):
            fail(error)
            return false
        }
    }

    var isAbandoned: Bool { abandoned.load(ordering: .relaxed) }

    /// Whether the handler has answered.
    var hasAnswer: Bool { isAnswered.load(ordering: .relaxed) }

    /// Whether the answer was UNAVAILABLE.
    var wasUnavailable: Bool { unavailable.load(ordering: .relaxed) }

    // MARK: IncomingCall

    func withPayload<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(payload.unsafeBytes)
    }

    func reply(_ response: some MessageEncoding, sharedWith followers: ArraySlice<any IncomingCall>) {
        let now = MonotonicTime.now
        let isWanted = !isOver(at: now)
        // Whoever does not wait any more is not worth the encoding.
        let others = followers.isEmpty ? [] : followers.compactMap(Self.ours).filter { !$0.endIfOver(at: now) }
        if !isWanted { _ = endIfOver(at: now) }
        guard isWanted || !others.isEmpty else { return }
        let marks = StageMarks(self, and: followers)
        do throws(EncodingError) {
            marks.mark(.answered)
            let encoded = try Self.encode(response)
            marks.mark(.encoded)
            for call in others { call.answer(.response(encoded.sharedCopy())) }
            if isWanted { answer(.response(encoded)) }
        } catch {
            let failure = RPCError(
                .internalError, reason: "INTERNAL", "the response cannot be encoded: \(error.field): \(error.reason)")
            if isWanted { fail(failure) }
            for call in others { call.fail(failure) }
        }
    }

    private static func ours(_ call: any IncomingCall) -> Call {
        guard let call = call as? Call else { preconditionFailure("a call that this server did not make") }
        return call
    }

    private func isOver(at now: MonotonicTime) -> Bool { isAbandoned || deadline.time <= now }

    /// Ends a call whose answer would come too late; false where there is time.
    private func endIfOver(at now: MonotonicTime) -> Bool {
        guard isOver(at: now) else { return false }
        // It ran: that much is certain.
        fail(.deadlineExceeded(at: ExpiryPlace.encoding.rawValue, disposition: .executed))
        return true
    }

    private static func encode(_ response: some MessageEncoding) throws(EncodingError) -> Frame {
        var frame: Frame?
        try response.serialize { count in
            let allocated = Frame(count: count)
            frame = allocated
            return allocated.unsafeMutableBytes
        }
        return frame ?? Frame()
    }

    func fail(_ error: RPCError) {
        StageMarks(self, and: []).mark(.answered)
        answer(.failure(error, payload: isAbandoned ? Frame() : Frame(copying: error.statusPayload())))
    }

    private func answer(_ given: Answer) {
        guard !isAnswered.exchange(true, ordering: .relaxed) else { return }
        if given.status == .unavailable { unavailable.store(true, ordering: .relaxed) }
        answer = given
        interception?.end(given.error)
        frontend.post(.answer(self))
    }
}

/// What a handler said.
enum Answer: Sendable {
    /// The encoded response.
    case response(Frame)
    /// A failure, and how it is encoded. Indirect: failures are rare, and errors are large.
    indirect case failure(RPCError, payload: Frame)

    var error: RPCError? {
        if case .failure(let error, _) = self { error } else { nil }
    }

    /// Encoded, be it a response or a failure.
    var payload: Frame {
        switch self {
        case .response(let payload), .failure(_, let payload): payload
        }
    }

    var status: StatusCode { error?.code ?? .ok }
    var disposition: Disposition { error?.disposition ?? .executed }
    /// Where it was found that the time was over, if that is what the handler said.
    var expiryPlace: ExpiryPlace? {
        guard let error, error.code == .deadlineExceeded else { return nil }
        return error.metadata["place"].flatMap(ExpiryPlace.init) ?? .handler
    }
}

/// ROUTER's automatic name of a connection: a zero byte and four bytes of a counter.
struct PeerID: Hashable, Sendable {
    let bytes: UInt32

    init(bytes: UInt32) { self.bytes = bytes }

    /// nil where it is no automatic name: a peer that chose its own.
    init?(_ frame: UnsafeRawBufferPointer) {
        guard frame.count == 5, frame[0] == 0 else { return nil }
        bytes = frame.loadUnaligned(fromByteOffset: 1, as: UInt32.self)
    }

    /// The five bytes, for sending.
    func withFrame<Result, Failure: Error>(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Result) throws(Failure) -> Result {
        // The zero byte right before the four bytes of the counter.
        var words = (UInt32(0), bytes)
        return try withUnsafeBytes(of: &words) { (raw) throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: raw[3..<8]))
        }
    }
}
