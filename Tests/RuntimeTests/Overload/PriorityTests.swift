import ProtoEcho
import ProtoRuntime
@testable import RPC
import RPCClient
@testable import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// Calls of high priority get through where others wait or are refused.
@Suite struct PriorityTests {
    /// All workers hold a call, the queue takes no more, the server holds all that it may: how it is can still be asked.
    @Test func healthIsAnsweredWhileEverythingIsFull() async throws {
        let release = Semaphore()
        var limits = ServerLimits()
        limits.maxInFlight = 12
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            release.wait()
            return Echo.EchoResponse(payload: request.payload)
        }), workers: 2, limits: limits)
        defer { server.stop() }
        let endpoint = server.endpoint
        let refused = try await onThread { () throws -> [RawPeer.Reply] in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            for id in 1...14 as ClosedRange<UInt64> { try peer.send(echoRequest(id: id, budget: 60_000_000), try echoPayload("x")) }
            return try [peer.answer(), peer.answer()]
        }
        #expect(refused.allSatisfy { $0.error?.reason == "QUEUE_FULL" && $0.error?.retryDelay != nil }, "\(refused)")
        let channel = try server.channel()
        defer { channel.close() }
        for _ in 0..<5 {
            let health = try await Runtime.HealthService.Client(channel).check(Runtime.CheckRequest())
            #expect(health.status == .serving)
        }
        let normal = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .milliseconds(200)) }
        #expect(normal != nil)
        for _ in 0..<14 { release.signal() }
    }

    /// Whoever has the higher priority goes first, and does not keep the others out altogether.
    @Test func othersAreServedNowAndThen() {
        let dispatcher = Dispatcher(
            policies: [
                DispatchPolicy(gather: .all, concurrency: .max), DispatchPolicy(gather: .all, concurrency: .max, priority: .high),
            ], workers: 1, reserved: 1)
        let lanes = [Lane(), Lane()]
        let calls = (0..<200).map { PureCalls.call(id: UInt64($0), method: $0 % 2) }
        dispatcher.enqueue(calls.map { ($0, lanes[$0.method]) })
        var order: [Int] = []
        var finished: Dispatcher.Finished?
        for _ in calls {
            guard let batch = dispatcher.next(worker: 0, after: finished) else { break }
            order.append(batch.method)
            finished = Dispatcher.Finished(batch: batch, carriedOut: batch.calls.count, hopeless: 0, nanoseconds: 1000)
        }
        #expect(order.count == 200)
        #expect(order.prefix(16).allSatisfy { $0 == 1 })
        #expect(order.prefix(102).count { $0 == 0 } == 6)
    }

    /// The reserved worker takes nothing else.
    @Test func theReservedWorkerIsLeftFree() {
        let dispatcher = Dispatcher(
            policies: [DispatchPolicy(gather: .all, concurrency: .max), DispatchPolicy(gather: .all, concurrency: .max, priority: .high)],
            workers: 1, reserved: 1)
        dispatcher.enqueue([(PureCalls.call(id: 1, method: 0), Lane()), (PureCalls.call(id: 2, method: 1), Lane())])
        #expect(dispatcher.next(worker: 1, after: nil)?.method == 1)
        dispatcher.close()
        #expect(dispatcher.next(worker: 1, after: nil) == nil)
        #expect(dispatcher.next(worker: 0, after: nil)?.method == 0)
    }
}
