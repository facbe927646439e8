import Glibc
import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import RPCServer
import Synchronization
import TestSupport
import Testing
import ZeroMQ

/// Many clients at once, each call with a canary in its body: every call has one outcome, and no answer is another's.
///
/// In between calls are cancelled, have next to no time, lose their connection or their channel. `ORDERWIRE_LONG=1` makes a
/// million calls, else it is a tenth of that; `ORDERWIRE_SEED` repeats a run's choices.
@Suite(.timeLimit(.minutes(20))) struct CanaryTests {
    private static let clientCount = 64
    private static let callersOfAClient = 16
    /// Those with a number below this one come through a proxy that resets their connections now and then.
    private static let disturbedCount = 8
    private static var callCount: Int { Seeds.isLong ? 1_000_000 : 100_000 }

    @Test(arguments: Seeds.fresh(1)) func noAnswerIsAnothers(seed: UInt64) async throws {
        let pot = ShufflingPot()
        let server = try RunningServer.start(EchoHandlers(.parked { call in pot.answer(call) }))
        defer { server.stop() }
        let proxy = try TCPProxy(to: server.endpoint)
        defer { proxy.stop() }
        let tally = Tally()
        let isOver = Gate()
        let disturber = Task { try await disturb(proxy, tally, until: isOver) }
        let start = MonotonicTime.now
        try await withThrowingTaskGroup(of: Void.self) { clients in
            for number in 0..<Self.clientCount {
                let isDisturbed = number < Self.disturbedCount
                let client = CanaryClient(
                    number: number, endpoint: isDisturbed ? proxy.endpoint : server.endpoint, isDisturbed: isDisturbed, tally: tally)
                clients.addTask {
                    try await client.run(
                        callers: Self.callersOfAClient, calls: Self.callCount / Self.clientCount / Self.callersOfAClient + 1,
                        seed: seed &+ UInt64(number) << 32)
                }
            }
            try await clients.waitForAll()
        }
        isOver.open()
        try await disturber.value
        pot.close()
        let milliseconds = MonotonicTime.now.microseconds(since: start) / 1000
        print("seed \(seed): \(tally.summary) in \(milliseconds) ms, \(pot.answeredCount) handled")
        #expect(tally.started >= Self.callCount && tally.started == tally.ended, "a call is without an outcome")
        #expect(tally.mixedUp.isEmpty, "answers of others: \(tally.mixedUp)")
        #expect(tally.surprises.isEmpty, "\(tally.surprises)")
        // Each kind of disturbance took place, so that the above says something.
        for outcome in ["answered", "CANCELLED", "DEADLINE_EXCEEDED", "CHANNEL_CLOSED"] { #expect(tally.count(of: outcome) > 0, "no \(outcome)") }
        try await server.expectSound()
    }

    /// Resets the disturbed clients' connections again and again.
    private func disturb(_ proxy: TCPProxy, _ tally: Tally, until isOver: Gate) async throws {
        var next = 2_000
        while !isOver.isOpen {
            if tally.ended >= next {
                proxy.resetAll()
                next = tally.ended + 5_000
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// What a call is for.
private enum Fate: Sendable {
    case answered, cancelled, hurried

    static func random(using generator: inout SeededGenerator) -> Fate {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<4: .cancelled
        case 4..<8: .hurried
        default: .answered
        }
    }
}

/// A client with several callers, which renews its channel now and then under their calls.
private final class CanaryClient: Sendable {
    private let number: Int
    private let endpoint: String
    private let isDisturbed: Bool
    private let tally: Tally
    private let channel = Mutex<Channel?>(nil)

    init(number: Int, endpoint: String, isDisturbed: Bool, tally: Tally) {
        self.number = number
        self.endpoint = endpoint
        self.isDisturbed = isDisturbed
        self.tally = tally
    }

    func run(callers: Int, calls: Int, seed: UInt64) async throws {
        try renew()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<callers {
                group.addTask { [self] in
                    var generator = SeededGenerator(seed: seed &+ UInt64(caller))
                    for call in 0..<calls {
                        // Of the disturbed clients the first caller renews the channel, about ten times in a tenth of a million.
                        if isDisturbed, caller == 0, call % 80 == 79 { try renew() }
                        await makeCall(caller << 32 | call, &generator)
                    }
                }
            }
            try await group.waitForAll()
        }
        channel.withLock { $0 }?.close()
    }

    private func renew() throws {
        let fresh = try Channel(to: endpoint, name: "client-\(number)", configuration: .patient)
        let old = channel.withLock { channel in
            defer { channel = fresh }
            return channel
        }
        old?.close()
    }

    private func makeCall(_ call: Int, _ generator: inout SeededGenerator) async {
        guard let channel = channel.withLock({ $0 }) else { return }
        let canary = self.canary(call, &generator)
        let fate = Fate.random(using: &generator)
        let budget: Duration = fate == .hurried ? .microseconds(Int64.random(in: 1...3_000, using: &generator)) : .seconds(120)
        let pauses = Int.random(in: 0..<8, using: &generator)
        tally.start()
        let task = Task { () -> Result<[UInt8], RPCError> in
            do throws(RPCError) {
                return .success(try await channel.echo.echo(Echo.EchoRequest(payload: canary), options: CallOptions(timeout: budget)).payload)
            } catch {
                return .failure(error)
            }
        }
        if fate == .cancelled {
            for _ in 0..<pauses { await Task.yield() }
            task.cancel()
        }
        note(await task.value, of: canary, fate)
    }

    /// Who, which call, and something random of a random length: no two calls of a run have the same.
    private func canary(_ call: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        let filling = (0..<Int.random(in: 0...6, using: &generator)).flatMap { _ in
            withUnsafeBytes(of: UInt64.random(in: .min ... .max, using: &generator), Array.init)
        }
        return withUnsafeBytes(of: (UInt64(number), UInt64(call)), Array.init) + filling
    }

    private func note(_ outcome: Result<[UInt8], RPCError>, of canary: [UInt8], _ fate: Fate) {
        switch outcome {
        case .success(let answer) where answer == canary: tally.end("answered")
        case .success(let answer): tally.end(mixedUp: "\(canary) got \(answer)")
        case .failure(let error):
            let isExpected: Bool =
                switch error.reason {
                case "CANCELLED": fate == .cancelled
                case "DEADLINE_EXCEEDED": fate == .hurried
                // A hurried call's time may be over before there is a connection.
                case "SERVER_UNREACHABLE": isDisturbed || fate == .hurried
                // The server says early what cannot be done in time.
                case "QUEUE_FULL": fate == .hurried
                default: isDisturbed && error.code == .unavailable
                }
            tally.end(error.reason, surprise: isExpected ? nil : "client \(number), to be \(fate): \(error)")
        }
    }
}

/// Answers most calls at once, and some later, from another thread and in another order.
private final class ShufflingPot: Sendable {
    private typealias EchoCall = ServerCall<Echo.EchoRequest, Echo.EchoResponse>
    private let state = Mutex<(calls: [EchoCall], isClosed: Bool)>(([], false))
    private let count = Atomic(0)
    private let ended = Semaphore()

    init() {
        startThread { [self] in
            while true {
                let (calls, isClosed) = state.withLock { state in
                    defer { state.calls = [] }
                    return (state.calls, state.isClosed)
                }
                for call in calls.shuffled() { reply(to: call) }
                if isClosed { return ended.signal() }
                usleep(500)
            }
        }
    }

    func answer(_ call: ServerCall<Echo.EchoRequest, Echo.EchoResponse>) {
        // By the length of the filling, so that it is the same in a run that is repeated.
        if call.request.payload.count % 32 == 0 { state.withLock { $0.calls.append(call) } } else { reply(to: call) }
    }

    private func reply(to call: EchoCall) {
        count.add(1, ordering: .relaxed)
        call.reply(Echo.EchoResponse(payload: call.request.payload))
    }

    func close() {
        state.withLock { $0.isClosed = true }
        ended.wait()
    }

    var answeredCount: Int { count.load(ordering: .relaxed) }
}

/// What became of all calls.
private final class Tally: Sendable {
    private struct Counts {
        var outcomes: [String: Int] = [:]
        var mixedUp: [String] = []
        var surprises: [String] = []
    }

    private let startedCount = Atomic(0)
    private let endedCount = Atomic(0)
    private let counts = Mutex(Counts())

    func start() { startedCount.add(1, ordering: .relaxed) }

    func end(_ outcome: String, surprise: String? = nil) {
        endedCount.add(1, ordering: .relaxed)
        counts.withLock { counts in
            counts.outcomes[outcome, default: 0] += 1
            if let surprise, counts.surprises.count < 20 { counts.surprises.append(surprise) }
        }
    }

    func end(mixedUp: String) {
        end("mixed up")
        counts.withLock { if $0.mixedUp.count < 20 { $0.mixedUp.append(mixedUp) } }
    }

    var started: Int { startedCount.load(ordering: .relaxed) }
    var ended: Int { endedCount.load(ordering: .relaxed) }
    var mixedUp: [String] { counts.withLock { $0.mixedUp } }
    var surprises: [String] { counts.withLock { $0.surprises } }
    func count(of outcome: String) -> Int { counts.withLock { $0.outcomes[outcome] ?? 0 } }
    var summary: String {
        counts.withLock { $0.outcomes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ") }
    }
}
