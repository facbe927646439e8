import RPC
import ZeroMQ

/// What has to be known of a call to try it again.
struct RepeatableCall: Sendable {
    let method: String
    let idempotency: Idempotency
    let options: CallOptions
}

/// Tries of a call, one after another, each at one server.
///
/// All of this runs in the calling task, which alone decides what comes next: a connection thread ends a try and is done with it.
/// So nothing has to be agreed between two connections. What can happen at the same time:
/// - *A cancellation between two tries* finds an attempt that has ended. The task's own flag is looked at before the next one, and
///   a task that is cancelled already cancels an attempt as it begins.
/// - *A server that becomes ready while a call waits at another*, which looked at this one just before: whoever becomes ready
///   wakes all others, whose threads look again at what they cannot send.
/// - *A pick that is out of date when it arrives*: the connection thread finds that it cannot send, and another server ready,
///   and ends the try as unsent.
/// - *A close during a backoff* ends the wait; the next try meets a closed mailbox.
extension Channel {
    func firstServer(for options: CallOptions, now: MonotonicTime) throws(RPCError) -> Int {
        guard let endpoint = options.endpoint else { return servers.pick(at: now) ?? 0 }
        guard let index = servers.index(of: endpoint) else { throw Self.invalidEndpoint("\(endpoint) is no server of this channel") }
        return index
    }

    func makeAttempt(_ request: OutgoingRequest, now: MonotonicTime) -> CallAttempt {
        CallAttempt(request, sendBy: min(request.deadline.time, now.advanced(by: configuration.connectTimeout)))
    }

    /// One try, to its end. Inlined: it is on the way of every call.
    @inline(__always) func run(_ attempt: CallAttempt, at server: Int) async -> CallAttempt.Outcome {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                attempt.willStart(continuation)
                if !servers.post(attempt, to: server) { attempt.end(.failure(.final(Self.channelClosed(.notExecuted)))) }
            }
        } onCancel: {
            servers[server].commands.post(.cancel(attempt))
        }
    }

    /// What follows a try that failed: other tries, or the call's failure.
    func tryAgain(
        _ call: RepeatableCall, after failure: AttemptFailure, of attempt: CallAttempt, at server: Int
    ) async throws(RPCError) -> Frame {
        let policy = call.options.retry ?? configuration.retryByMethod[call.method] ?? configuration.retry
        var state = RetryState(policy, idempotency: call.idempotency)
        var (failure, attempt, server) = (failure, attempt, server)
        while true {
            if attempt.wasSent { state.wasSent() }
            let next: Int
            do throws(RPCError) {
                next = try await nextServer(for: attempt.request, after: failure, at: server, &state)
            } catch {
                call.options.onTimings?(timings(of: attempt, at: server, sentCount: state.sentCount))
                throw error
            }
            server = next
            attempt = makeAttempt(attempt.request, now: .now)
            switch await run(attempt, at: server) {
            case .success(let payload):
                call.options.onTimings?(timings(of: attempt, at: server, sentCount: state.sentCount + 1))
                return payload
            case .failure(let another):
                failure = another
            }
        }
    }

    /// Waits as long as the call has to, and chooses where it goes then. Throws the call's failure where it is not tried again.
    private func nextServer(
        for request: OutgoingRequest, after failure: AttemptFailure, at server: Int, _ state: inout RetryState
    ) async throws(RPCError) -> Int {
        let now = MonotonicTime.now
        let retry = SubchannelList.Retry(server: server, needsBudget: true)
        var random = servers.random
        let decision = state.decide(
            failure, remaining: request.deadline.time.microseconds(since: now),
            hasBudget: pick(request, for: retry, at: now) != nil, random: .random(in: 0..<1, using: &random))
        switch decision {
        case .giveUp(let error):
            throw error
        case .elsewhere:
            guard !Task.isCancelled else { throw state.final(Self.cancelled) }
            return pick(request, for: .init(server: server, needsBudget: false), at: now) ?? server
        case .again(let wait, or: let error):
            await backoffs.wait(microseconds: wait)
            guard !Task.isCancelled else { throw state.final(Self.cancelled) }
            guard let next = pick(request, for: retry, at: .now) else { throw error }
            return next
        }
    }

    private func pick(_ request: OutgoingRequest, for retry: SubchannelList.Retry, at now: MonotonicTime) -> Int? {
        guard request.isPinned else { return servers.pick(for: retry, at: now) }
        return retry.needsBudget && !servers[retry.server].allowsRetries ? nil : retry.server
    }

    func timings(of attempt: CallAttempt, at server: Int, sentCount: Int) -> CallTimings {
        let roundTrip = attempt.answeredAt.map { $0.microseconds(since: attempt.sentAt) } ?? 0
        return CallTimings(
            roundTrip: .microseconds(Int64(clamping: roundTrip)), server: attempt.stageTimings, attempts: sentCount,
            endpoint: servers[server].endpoint)
    }

    static var cancelled: RPCError {
        RPCError(.cancelled, reason: "CANCELLED", "cancelled before it was sent", disposition: .notExecuted)
    }
}
