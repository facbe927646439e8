public import Protobuf

/// What carries out a method, and how its calls are handed over.
///
/// There is one primitive underneath: a handler gets calls, and answers each of them once. The factory methods are ways to
/// say which calls. Bodies run on a worker thread of the server and may block.
///
/// A response is the message, or its bytes: an `EncodedMessage` that was written from where the data lies, for services
/// whose responses are large. Everything else is the same for both.
///
/// All of them take a `priority`, and `maxRequestBytes`: larger request payloads are refused unread (nil: the server's limit).
public struct Handler<Request: Message, Response: Message>: Sendable {
    let policy: DispatchPolicy
    let maxRequestBytes: Int?
    let handle: @Sendable ([any IncomingCall]) -> Void

    /// One call at a time: returns the response or throws why not.
    ///
    /// - Parameter concurrency: most calls of this method that run at once.
    public static func unary(
        concurrency: Int = .max, priority: CallPriority = .normal, maxRequestBytes: Int? = nil,
        _ body: @escaping @Sendable (Request, CallContext) throws(RPCError) -> Response
    ) -> Handler {
        oneByOne(concurrency, priority, maxRequestBytes, body)
    }

    /// The same with a response that is encoded in another way than as a message.
    public static func unary<Reply: MessageEncoding<Response>>(
        concurrency: Int = .max, priority: CallPriority = .normal, maxRequestBytes: Int? = nil,
        _ body: @escaping @Sendable (Request, CallContext) throws(RPCError) -> Reply
    ) -> Handler {
        oneByOne(concurrency, priority, maxRequestBytes, body)
    }

    private static func oneByOne<Reply: MessageEncoding<Response>>(
        _ concurrency: Int, _ priority: CallPriority, _ maxRequestBytes: Int?,
        _ body: @escaping @Sendable (Request, CallContext) throws(RPCError) -> Reply
    ) -> Handler {
        let policy = DispatchPolicy(gather: .one, concurrency: concurrency, priority: priority)
        return Handler(policy: policy, maxRequestBytes: maxRequestBytes) { calls in
            // In a run of calls, one may have been given up while the others ran.
            for call in calls where !call.isAbandoned { answer(call, sharedWith: [], body) }
        }
    }

    /// One call at a time, which may be answered after the body has returned: the worker is free meanwhile.
    public static func parked(
        concurrency: Int = .max, priority: CallPriority = .normal, maxRequestBytes: Int? = nil,
        _ body: @escaping @Sendable (ServerCall<Request, Response>) -> Void
    ) -> Handler {
        let policy = DispatchPolicy(gather: .one, concurrency: concurrency, mayPark: true, priority: priority)
        return Handler(policy: policy, maxRequestBytes: maxRequestBytes) { calls in
            for index in calls.indices { inOneGo([calls[index...index]]) { $0.forEach(body) } }
        }
    }

    /// All calls of this method that wait, together: a free worker takes them, and none waits for others to come.
    ///
    /// - Parameters:
    ///   - concurrency: most batches that run at once.
    ///   - callsForAnother: so many calls have to wait for a batch to begin while another runs. With fewer, what a batch costs by itself
    ///     is better shared with the calls that come until that one ends.
    ///   - maxCalls: most calls in a batch.
    ///   - maxBytes: most payload bytes in a batch; a single larger call is a batch of its own.
    public static func gathered(
        concurrency: Int = 1, callsForAnother: Int = 1, maxCalls: Int = 256, maxBytes: Int = 1 << 20,
        priority: CallPriority = .normal, maxRequestBytes: Int? = nil,
        _ body: @escaping @Sendable ([ServerCall<Request, Response>]) -> Void
    ) -> Handler {
        let policy = DispatchPolicy(
            gather: .all, concurrency: concurrency, callsForAnother: callsForAnother, maxCalls: maxCalls, maxBytes: maxBytes,
            priority: priority)
        return Handler(policy: policy, maxRequestBytes: maxRequestBytes) { calls in inOneGo(calls.indices.map { calls[$0...$0] }, body) }
    }

    /// Calls with equal request bytes that wait together are carried out once, for all of them. The execution starts
    /// after each of them has arrived, so nobody gets an older state than alone. Only for methods without side effects
    /// whose response is the same for everybody: the context is that of the first of them.
    public static func coalesced(
        concurrency: Int = .max, maxCalls: Int = 1024, priority: CallPriority = .normal, maxRequestBytes: Int? = nil,
        _ body: @escaping @Sendable (Request, CallContext) throws(RPCError) -> Response
    ) -> Handler {
        together(concurrency, maxCalls, priority, maxRequestBytes, body)
    }

    /// The same with a response that is encoded in another way than as a message.
    public static func coalesced<Reply: MessageEncoding<Response>>(
        concurrency: Int = .max, maxCalls: Int = 1024, priority: CallPriority = .normal, maxRequestBytes: Int? = nil,
        _ body: @escaping @Sendable (Request, CallContext) throws(RPCError) -> Reply
    ) -> Handler {
        together(concurrency, maxCalls, priority, maxRequestBytes, body)
    }

    /// The same where different requests cost less in one go than one by one: each call that `body` gets stands for all with its request
    /// bytes. A worker takes no more than its share of the different requests that wait, so that none of the others has nothing to do, and
    /// no more than can be carried out in 20 ms by what they cost lately.
    ///
    /// - Parameter maxRequests: most different requests at once.
    public static func coalesced(
        maxRequests: Int, concurrency: Int = .max, maxCalls: Int = 1024, priority: CallPriority = .normal, maxRequestBytes: Int? = nil,
        _ body: @escaping @Sendable ([ServerCall<Request, Response>]) -> Void
    ) -> Handler {
        let policy = DispatchPolicy(
            gather: .equalPayloads, concurrency: concurrency, maxCalls: maxCalls, maxPayloads: maxRequests, priority: priority)
        return Handler(policy: policy, maxRequestBytes: maxRequestBytes) { calls in inOneGo(groups(calls), body) }
    }

    /// The stretches of calls that have the same payload.
    private static func groups(_ calls: [any IncomingCall]) -> [ArraySlice<any IncomingCall>] {
        var groups: [ArraySlice<any IncomingCall>] = []
        var first = 0
        for next in calls.indices.dropFirst() where !calls[next].hasPayload(of: calls[first]) {
            groups.append(calls[first..<next])
            first = next
        }
        groups.append(calls[first...])
        return groups
    }

    private static func together<Reply: MessageEncoding<Response>>(
        _ concurrency: Int, _ maxCalls: Int, _ priority: CallPriority, _ maxRequestBytes: Int?,
        _ body: @escaping @Sendable (Request, CallContext) throws(RPCError) -> Reply
    ) -> Handler {
        let policy = DispatchPolicy(gather: .equalPayloads, concurrency: concurrency, maxCalls: maxCalls, priority: priority)
        return Handler(policy: policy, maxRequestBytes: maxRequestBytes) { calls in
            if let first = calls.first { answer(first, sharedWith: calls.dropFirst(), body) }
        }
    }

    /// Carries out `body` once with the first call's request and gives it and its followers the outcome.
    private static func answer<Reply: MessageEncoding<Response>>(
        _ first: any IncomingCall, sharedWith followers: ArraySlice<any IncomingCall>,
        _ body: (Request, CallContext) throws(RPCError) -> Reply
    ) {
        let marks = StageMarks(first, and: followers)
        do throws(RPCError) {
            marks.mark(.begun)
            let request = try decode(first)
            marks.mark(.decoded)
            first.reply(try body(request, CallContext(first, sharedWith: followers)), sharedWith: followers)
        } catch {
            first.fail(error)
            for call in followers { call.fail(error) }
        }
    }

    private static func decode(_ call: any IncomingCall) throws(RPCError) -> Request {
        do throws(DecodingError) {
            return try call.withPayload { (bytes) throws(DecodingError) in try Request(serializedBytes: bytes) }
        } catch {
            throw RPCError(
                .invalidArgument, reason: "MALFORMED_REQUEST",
                "the payload is no valid \(Request.messageName): \(error.field): \(error.reason)", disposition: .notExecuted,
                fieldViolations: [.init(field: error.field, description: error.reason)])
        }
    }

    /// Hands groups of equal calls to `body`, all at once.
    private static func inOneGo(_ groups: [ArraySlice<any IncomingCall>], _ body: ([ServerCall<Request, Response>]) -> Void) {
        let marks = StageMarks(groups.joined())
        let batch = decoded(groups, marks)
        if !batch.isEmpty { body(batch) }
        marks.mark(.returned)
    }

    /// The calls whose payload decodes, one for each group of equal ones; the others are answered.
    private static func decoded(_ groups: [ArraySlice<any IncomingCall>], _ marks: StageMarks) -> [ServerCall<Request, Response>] {
        marks.mark(.begun)
        defer { marks.mark(.decoded) }
        var batch: [ServerCall<Request, Response>] = []
        batch.reserveCapacity(groups.count)
        for group in groups {
            guard let call = group.first else { continue }
            do throws(RPCError) {
                batch.append(ServerCall(request: try decode(call), call: call, sharedWith: group.dropFirst()))
            } catch {
                for call in group { call.fail(error) }
            }
        }
        return batch
    }
}
