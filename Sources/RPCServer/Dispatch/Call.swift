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
    let traceparent: String?
    let metadata: [(key: String, value: String)]

    /// Id that the client gave it.
    let id: UInt64
    /// ROUTER's name of the connection it came through.
    let peer: PeerID
    let arrival: MonotonicTime
    /// Index of its method in the server's table.
    let method: Int
    let payload: Frame
    let stages: CallStages?

    private let frontend: Mailbox<FrontendInput>
    /// 0: nobody answered; 1: a handler did.
    private let isAnswered = Atomic<Bool>(false)
    private let abandoned = Atomic<Bool>(false)
    /// 0 while it waits; `neverStarts` where it was given up before a worker began with it; else when one did. Decided once,
    /// so that a call of which somebody was told that it did not run will not run.
    private let startedAt = Atomic<UInt64>(0)
    private static let neverStarts = UInt64.max

    /// What the handler said. Written once, by who set `isAnswered`, before the call is posted to the frontend; read there.
    @exclusivity(unchecked) private(set) var answer = Answer(status: .unknown, disposition: .maybe, payload: nil)
    /// Calls with an equal payload that wait behind this one. Protected by the dispatcher's lock.
    @exclusivity(unchecked) var followers: [Call] = []
    /// Where it is in the table of calls in flight. Belongs to the frontend thread.
    @exclusivity(unchecked) var tableIndex = -1

    init(
        header: FrameHeader, extensions: HeaderExtension, peer: PeerID, identity: Identity, method: Int, payload: Frame,
        arrival: MonotonicTime, deadline: Deadline, stages: CallStages? = nil, frontend: Mailbox<FrontendInput>
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

    /// Nobody waits for the answer any more: where no worker has begun with it, none will.
    func abandon() {
        abandoned.store(true, ordering: .relaxed)
        _ = startedAt.compareExchange(expected: 0, desired: Self.neverStarts, ordering: .relaxed)
    }

    var isAbandoned: Bool { abandoned.load(ordering: .relaxed) }

    /// Whether the handler has answered.
    var hasAnswer: Bool { isAnswered.load(ordering: .relaxed) }

    // MARK: IncomingCall

    func withPayload<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(payload.unsafeBytes)
    }

    func reply(_ response: some Message, sharedWith followers: ArraySlice<any IncomingCall>) {
        let marks = StageMarks(self, and: followers)
        do throws(EncodingError) {
            marks.mark(.answered)
            let encoded = try Self.encode(response)
            marks.mark(.encoded)
            if !followers.isEmpty { Self.reply(encoded, to: followers) }
            answer(status: .ok, disposition: .executed, payload: encoded)
        } catch {
            let failure = RPCError(
                .internalError, reason: "INTERNAL", "the response cannot be encoded: \(error.field): \(error.reason)")
            fail(failure)
            for follower in followers { follower.fail(failure) }
        }
    }

    private static func reply(_ encoded: Frame, to followers: ArraySlice<any IncomingCall>) {
        for follower in followers {
            guard let follower = follower as? Call else { preconditionFailure("a follower that this server did not make") }
            follower.answer(status: .ok, disposition: .executed, payload: encoded.sharedCopy())
        }
    }

    private static func encode(_ response: some Message) throws(EncodingError) -> Frame {
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
        answer(status: error.code, disposition: error.disposition, payload: Frame(copying: error.statusPayload()))
    }

    private func answer(status: StatusCode, disposition: Disposition, payload: Frame) {
        guard !isAnswered.exchange(true, ordering: .relaxed) else { return }
        answer = Answer(status: status, disposition: disposition, payload: payload)
        frontend.post(.answer(self))
    }
}

/// What a handler said.
struct Answer: Sendable {
    let status: StatusCode
    let disposition: Disposition
    let payload: Frame?
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
