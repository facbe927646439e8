public import RPC
import ZeroMQ

/// One event of a channel, or a sign of life.
public struct Event: Sendable {
    /// Its number; of a heartbeat, that of the event before it.
    public let sequence: Int64
    /// The number of the event that was sent to this member before it, 0 for the first.
    public let previous: Int64
    /// Whether an event that was sent before it did not arrive.
    public let isAfterLoss: Bool
    /// Whether it is no event, but says that there was none for a while.
    public let isHeartbeat: Bool
    /// Epoch of the server that sent it.
    public let serverEpoch: UInt32
    /// What it says.
    public let payload: [UInt8]
}

/// The events of one membership, as they arrive. The channel connects again by itself.
///
/// What arrives before it is asked for is kept; the server bounds it, because it sends no more than a window of events that
/// are not acknowledged. The stream ends when it is closed or let go.
public final class EventStream: AsyncSequence, Sendable {
    public typealias Element = Event
    public typealias AsyncIterator = AsyncStream<Event>.Iterator

    private let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation
    private let stop = Mailbox<Void>()
    private let thread: SocketThread
    private let closed = CloseOnce()

    /// Connects to a member's channel, as `Subscribe` describes it. Does not wait for the connection.
    ///
    /// - Throws: INVALID_ARGUMENT where the endpoint is malformed.
    public init(endpoint: String, memberID: String, token: String) throws(RPCError) {
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        let started = StartSignal()
        thread = SocketThread(name: "rpc-events") { [stop] in
            do throws(ZeroMQError) {
                let socket = try Socket(.pull)
                try socket.set(.plainUsername, memberID)
                try socket.set(.plainPassword, token)
                try socket.set(.receiveHighWaterMark, Self.highWaterMark)
                try socket.connect(endpoint)
                started.signal(nil)
                try Self.receive(from: socket, until: stop, into: continuation)
            } catch {
                started.signal(error)
            }
            continuation.finish()
        }
        if let error = started.wait() {
            thread.join()
            throw RPCError(
                .invalidArgument, reason: "INVALID_ENDPOINT", "cannot connect to \(endpoint): \(error)", disposition: .notExecuted)
        }
        self.events = events
        self.continuation = continuation
    }

    /// Events that libzmq holds for this side.
    private static let highWaterMark: Int32 = 1000

    deinit { close() }

    public func makeAsyncIterator() -> AsyncIterator { events.makeAsyncIterator() }

    /// Ends the stream. Calling it again does nothing.
    public func close() {
        guard closed.close() else { return }
        stop.post(())
        thread.join()
    }

    private static func receive(
        from socket: borrowing Socket, until stop: Mailbox<Void>, into continuation: AsyncStream<Event>.Continuation
    ) throws(ZeroMQError) {
        var poller = Poller()
        _ = poller.add(socket)
        _ = poller.add(fileDescriptor: stop.fileDescriptor)
        let frame = Frame()
        var last: Int64 = 0
        while stop.isEmpty {
            switch try socket.receive(into: frame) {
            case .wouldBlock:
                if stop.prepareToSleep() { try poller.wait(milliseconds: nil) }
                stop.didWake()
            case .more:
                // No event has a second frame: skip them all.
                while try socket.receive(into: frame) == .more {}
            case .last:
                if let event = event(in: frame, after: last) {
                    last = event.sequence
                    continuation.yield(event)
                }
            }
        }
    }

    /// The event, or nil where the frame is another or cannot be read: then `previous` of the next one shows the loss.
    private static func event(in frame: Frame, after last: Int64) -> Event? {
        let header: FrameHeader
        do throws(FrameHeader.Defect) {
            header = try FrameHeader(frame.unsafeBytes)
        } catch {
            return nil
        }
        guard header.type == .event || header.type == .eventHeartbeat else { return nil }
        let start = FrameHeader.size + Int(header.extensionLength)
        let previous = Int64(bitPattern: header.previousSequence)
        return Event(
            sequence: Int64(bitPattern: header.id), previous: previous, isAfterLoss: previous != last,
            isHeartbeat: header.type == .eventHeartbeat, serverEpoch: header.word24,
            payload: [UInt8](frame.unsafeBytes[start...]))
    }
}
