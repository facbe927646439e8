public import Protobuf

/// A call as the transport hands it to a handler: bytes in, one answer out. Handlers see it as a typed `ServerCall`.
///
/// It is answered once; a second answer is a defect of the handler and is ignored. All members may be used by any thread.
package protocol IncomingCall: AnyObject, Sendable {
    /// Who is calling.
    var identity: Identity { get }
    /// When it reached the server.
    var arrival: MonotonicTime { get }
    /// When the call's time is over. The transport answers it by itself then.
    var deadline: Deadline { get }
    /// Whether nobody waits for the answer any more: cancelled, timed out, or the caller is gone.
    var isAbandoned: Bool { get }
    /// W3C trace context of the caller, where it sent one.
    var traceparent: String? { get }
    /// Pairs that travelled with the call.
    var metadata: [(key: String, value: String)] { get }
    /// Where its time goes; nil where nobody asked.
    var stages: CallStages? { get }

    /// The request's bytes, valid inside `body` only.
    func withPayload<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result

    /// Answers this call and, with the same bytes, which are encoded once, `followers`.
    func reply(_ response: some MessageEncoding, sharedWith followers: ArraySlice<any IncomingCall>)

    /// Answers the call with a failure.
    func fail(_ error: RPCError)
}

extension IncomingCall {
    /// Whether the requests of both are the same, byte by byte.
    func hasPayload(of other: any IncomingCall) -> Bool {
        withPayload { bytes in other.withPayload { $0.elementsEqual(bytes) } }
    }
}

/// What a handler may know about the call that it works on.
public struct CallContext: Sendable {
    private let call: any IncomingCall
    /// When the call reached the server; of calls that are carried out together, the last of them. What a handler read after
    /// this moment is as new as what it would read now.
    public let arrival: MonotonicTime

    /// - Parameter followers: calls that get the same answer.
    package init(_ call: any IncomingCall, sharedWith followers: ArraySlice<any IncomingCall> = []) {
        self.call = call
        arrival = followers.reduce(call.arrival) { max($0, $1.arrival) }
    }

    /// Who is calling.
    public var identity: Identity { call.identity }
    /// When the call's time is over.
    public var deadline: Deadline { call.deadline }
    /// Whether nobody waits for the answer any more.
    public var isAbandoned: Bool { call.isAbandoned }
    /// W3C trace context of the caller, where it sent one.
    public var traceparent: String? { call.traceparent }
    /// Pairs that travelled with the call.
    public var metadata: [(key: String, value: String)] { call.metadata }

    /// Adds what another thread than the handler's own waited for the database on this call's behalf, for a caller that asks
    /// where the time went. The handler's own thread is counted without it.
    public func addDatabaseTime(_ time: Duration) { call.stages?.addDatabaseTime(time) }
}

/// A call with its decoded request, or equal calls that are carried out once: to be answered once, from any thread, at any time before
/// its deadline.
public struct ServerCall<Request: Message, Response: Message>: Sendable {
    /// What is asked.
    public let request: Request
    private let call: any IncomingCall
    /// They ask the same and get the same answer.
    private let followers: ArraySlice<any IncomingCall>

    package init(request: Request, call: any IncomingCall, sharedWith followers: ArraySlice<any IncomingCall> = []) {
        self.request = request
        self.call = call
        self.followers = followers
    }

    /// Who asks, and how long there is; of equal calls, that of the first of them.
    public var context: CallContext { CallContext(call, sharedWith: followers) }

    /// Answers the call.
    public func reply(_ response: Response) { call.reply(response, sharedWith: followers) }

    /// Answers the call with a message in another form, such as an `EncodedMessage`.
    public func reply(_ response: some MessageEncoding<Response>) { call.reply(response, sharedWith: followers) }

    /// Answers the call with a failure.
    public func fail(_ error: RPCError) {
        call.fail(error)
        for follower in followers { follower.fail(error) }
    }
}
