import Glibc
package import ProtoRuntime
import RPC
import Synchronization

/// The runtime's own services: health, and what the server can tell about itself.
final class Introspection: Sendable {
    /// What is known only once the method table, which contains these services, exists.
    private struct Subject: Sendable {
        let methods: MethodTable
        let dispatcher: Dispatcher
        let epoch: UInt32
    }

    private let counters: ServerCounters
    private let version: String
    private let limits: ServerLimits
    private let gauges: @Sendable () -> [String: Int64]
    private let startTime = WellKnown.Timestamp.now
    private let subject = Mutex<Subject?>(nil)

    init(
        counters: ServerCounters, version: String, limits: ServerLimits, gauges: @escaping @Sendable () -> [String: Int64]
    ) {
        self.gauges = gauges
        self.counters = counters
        self.version = version
        self.limits = limits
    }

    func attach(methods: MethodTable, dispatcher: Dispatcher, epoch: UInt32) {
        subject.withLock { $0 = Subject(methods: methods, dispatcher: dispatcher, epoch: epoch) }
    }

    /// Lets go of the methods, whose handlers hold this object.
    func detach() { subject.withLock { $0 = nil } }

    /// A name of a service, and room for fields of later versions.
    private static let maxRequestBytes = 4096

    var health: Health { Health(introspection: self) }
    var runtime: RuntimeInfo { RuntimeInfo(introspection: self) }

    struct Health: Runtime.HealthService.Handlers {
        let introspection: Introspection

        var check: Handler<Runtime.CheckRequest, Runtime.CheckResponse> {
            .unary(priority: .high, maxRequestBytes: Introspection.maxRequestBytes) { (request, _) throws(RPCError) in
                introspection.check(request)
            }
        }
    }

    struct RuntimeInfo: Runtime.RuntimeService.Handlers {
        let introspection: Introspection

        var describe: Handler<Runtime.DescribeRequest, Runtime.DescribeResponse> {
            .unary(maxRequestBytes: Introspection.maxRequestBytes) { (_, _) throws(RPCError) in introspection.description }
        }

        var stats: Handler<Runtime.StatsRequest, Runtime.StatsResponse> {
            .unary(priority: .high, maxRequestBytes: Introspection.maxRequestBytes) { (_, _) throws(RPCError) in introspection.stats }
        }
    }

    private func check(_ request: Runtime.CheckRequest) -> Runtime.CheckResponse {
        let names = subject.withLock { $0?.methods.serviceNames } ?? []
        let isKnown = request.service.isEmpty || names.contains(request.service)
        return Runtime.CheckResponse(status: isKnown ? .serving : .serviceUnknown)
    }

    private var description: Runtime.DescribeResponse {
        guard let methods = subject.withLock({ $0?.methods }) else { return .init() }
        let infos = methods.indices.map { Runtime.MethodInfo(methods[$0], limits) }.sorted { $0.method < $1.method }
        return .init(fileDescriptorSet: methods.fileDescriptorSet, methods: infos)
    }

    var stats: Runtime.StatsResponse {
        var response = Runtime.StatsResponse()
        response.startTime = startTime
        response.version = version
        response.sessionCount = Int32(clamping: counters.sessions.count)
        response.receivedCount = Int64(counters.received.count)
        response.answeredCount = Int64(counters.answered.count)
        response.refusedCounts = counters.refused.byName
        response.droppedCounts = counters.dropped.byName
        response.expiredCounts = counters.expired.byName
        response.connectionCounts = counters.connections.byName
        response.serviceGauges = gauges()
        response.inFlightCount = Int32(clamping: counters.inFlight.count)
        if let subject = subject.withLock({ $0 }) {
            response.serverEpoch = subject.epoch
            response.methods = methodStats(subject)
        }
        return response
    }

    private func methodStats(_ subject: Subject) -> [Runtime.MethodStats] {
        subject.methods.indices.compactMap { index in
            let statistics = subject.dispatcher.statistics[index]
            guard statistics.calls.count > 0 else { return nil }
            var stats = Runtime.MethodStats()
            stats.method = subject.methods[index].fullName
            stats.callCount = Int64(statistics.calls.count)
            stats.batchCount = Int64(statistics.batches.count)
            stats.largestBatch = Int32(clamping: statistics.largestBatch)
            stats.failedCount = Int64(statistics.failed.count)
            stats.queuedCount = Int32(clamping: subject.dispatcher.queuedCount(of: index))
            return stats
        }
        .sorted { $0.method < $1.method }
    }
}

extension WellKnown.Timestamp {
    /// This moment on the wall clock.
    package static var now: WellKnown.Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WellKnown.Timestamp(seconds: Int64(time.tv_sec), nanos: Int32(time.tv_nsec))
    }
}
