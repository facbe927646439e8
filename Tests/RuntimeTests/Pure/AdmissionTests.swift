import RPC
@testable import RPCServer
import Testing

/// Who is admitted, by numbers alone.
@Suite struct AdmissionTests {
    private static let second: UInt64 = 1_000_000

    /// A server of four workers, a method whose calls take 1 ms, and a client with a second of time.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var payload = 100
        var remaining: UInt64 = second
        var client = Admission.Client()
        var method = Admission.Method(turnNanoseconds: 1_000_000)
        var total = Admission.Total()
        var limits = ServerLimits()
        let expected: Admission.Refusal?

        init(_ name: String, _ expected: Admission.Refusal?, _ change: (inout Case) -> Void = { _ in }) {
            testDescription = name
            self.expected = expected
            change(&self)
        }
    }

    private static let waits = [
        Case("nothing waits", nil),
        Case("alone, with as much as fits into a third of its time: 1,300 calls x 1 ms / 4", nil) {
            $0.client.waiting = 1300
            ($0.method.waiting, $0.method.lanes) = (1300, 1)
        },
        Case("alone, with more", .wouldWait(retryAfterMicroseconds: 416_667)) {
            $0.client.waiting = 3000
            ($0.method.waiting, $0.method.lanes) = (3000, 1)
        },
        Case("the same, but with four seconds", nil) {
            $0.client.waiting = 3000
            ($0.method.waiting, $0.method.lanes) = (3000, 1)
            $0.remaining = 4 * second
        },
        Case("polite, beside one that floods", nil) {
            ($0.method.waiting, $0.method.lanes) = (8000, 1)
        },
        Case("polite, with a few waiting, beside ten that flood", nil) {
            $0.client.waiting = 20
            ($0.method.waiting, $0.method.lanes) = (16_000, 11)
        },
        Case("one of ten that flood", .wouldWait(retryAfterMicroseconds: 418_917)) {
            $0.client.waiting = 300
            ($0.method.waiting, $0.method.lanes) = (15_000, 10)
        },
        Case("nobody knows yet what a call costs", nil) {
            $0.client.waiting = 4000
            ($0.method.waiting, $0.method.lanes, $0.method.turnNanoseconds) = (4000, 1, 0)
        },
        Case("little time, nothing before it", nil) { $0.remaining = 10 },
        Case("little time, little before it", .wouldWait(retryAfterMicroseconds: 247)) {
            $0.remaining = 10
            ($0.method.waiting, $0.method.lanes) = (1, 1)
        },
        Case("one at a time", .wouldWait(retryAfterMicroseconds: 666_667)) {
            $0.client.waiting = 1000
            ($0.method.waiting, $0.method.lanes, $0.method.concurrency) = (1000, 1, 1)
        },
        Case("workers shared with three other methods", .wouldWait(retryAfterMicroseconds: 666_667)) {
            $0.client.waiting = 1000
            ($0.method.waiting, $0.method.lanes, $0.method.busyMethods) = (1000, 1, 4)
        },
        Case("taken 250 at once, in 10 ms", nil) {
            $0.client.waiting = 4000
            ($0.method.waiting, $0.method.lanes) = (4000, 1)
            ($0.method.turnNanoseconds, $0.method.callsPerTurn, $0.method.concurrency) = (10_000_000, 250, 2)
        },
        Case("taken one by one, in 10 ms", .wouldWait(retryAfterMicroseconds: 9_666_667)) {
            $0.client.waiting = 4000
            ($0.method.waiting, $0.method.lanes) = (4000, 1)
            $0.method.turnNanoseconds = 10_000_000
        },
    ]

    private static let bounds = [
        Case("the largest payload", nil) { ($0.payload, $0.limits.maxRequestBytes) = (1000, 1000) },
        Case("one byte more", .payloadTooLarge(limit: 1000)) { ($0.payload, $0.limits.maxRequestBytes) = (1001, 1000) },
        Case("the method's largest payload", nil) { ($0.payload, $0.method.maxRequestBytes) = (500, 500) },
        Case("the method's, one byte more", .payloadTooLarge(limit: 500)) { ($0.payload, $0.method.maxRequestBytes) = (501, 500) },
        Case("a method's limit above the server's", .payloadTooLarge(limit: 100)) {
            ($0.payload, $0.method.maxRequestBytes, $0.limits.maxRequestBytes) = (101, 500, 100)
        },
        Case("the last place of a session", nil) { $0.client.inFlightOfSession = 4095 },
        Case("no place in the session", .sessionHasTooMany) { $0.client.inFlightOfSession = 4096 },
        Case("the last place of a client", nil) { $0.client.inFlight = 8191 },
        Case("no place for the client", .clientHasTooMany) { $0.client.inFlight = 8192 },
        Case("the last place of the server", nil) { $0.total.inFlight = 65_535 },
        Case("no place in the server", .serverIsFull) { $0.total.inFlight = 65_536 },
        Case("no place in the server, high priority", nil) { ($0.total.inFlight, $0.method.priority) = (65_536, .high) },
        Case("no place in the reserve either", .serverIsFull) { ($0.total.inFlight, $0.method.priority) = (66_560, .high) },
        Case("the last bytes of the server", nil) { $0.total.payloadBytes = (256 << 20) - 100 },
        Case("one byte too many for the server", .serverIsFull) { $0.total.payloadBytes = (256 << 20) - 99 },
        Case("the last place in the queue", nil) { ($0.method.waiting, $0.method.turnNanoseconds) = (16_383, 0) },
        Case("no place in the queue", .queueIsFull) { ($0.method.waiting, $0.method.turnNanoseconds) = (16_384, 0) },
        Case("the last bytes of the queue", nil) { ($0.method.waiting, $0.method.waitingBytes) = (1, (64 << 20) - 100) },
        Case("one byte too many for the queue", .queueIsFull) { ($0.method.waiting, $0.method.waitingBytes) = (1, (64 << 20) - 99) },
    ]

    @Test(arguments: waits + bounds) func isAdmittedOrNot(_ it: Case) {
        let admission = Admission(limits: it.limits, workers: 4)
        #expect(admission.refusal(payload: it.payload, remaining: it.remaining, it.client, it.method, it.total) == it.expected)
    }
}
