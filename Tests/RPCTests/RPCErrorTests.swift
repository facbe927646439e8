@testable import RPC
import Testing

@Suite struct RPCErrorTests {
    private func sent(_ error: RPCError) -> RPCError {
        let header = FrameHeader.response(
            callID: 1, epoch: 1, queued: 0, served: 0, status: error.code, disposition: error.disposition)
        return error.statusPayload().withUnsafeBytes { RPCError(header: header, payload: $0) }
    }

    @Test func everyPartSurvivesTheWire() {
        let error = RPCError(
            .invalidArgument, reason: "INVALID_FIELD", "two fields are wrong", disposition: .notExecuted,
            metadata: ["orderId": "42"],
            fieldViolations: [.init(field: "lines[2].quantity", description: "1 to 10,000"), .init(field: "key", description: "required")],
            retryDelay: .milliseconds(1500))
        #expect(sent(error) == error)
    }

    @Test(arguments: StatusCode.allCases.dropFirst(), Disposition.allCases)
    func codeAndDispositionSurvive(code: StatusCode, disposition: Disposition) {
        let error = RPCError(code, reason: "X", "y", disposition: disposition)
        #expect(sent(error) == error)
    }

    @Test func textThatProtobufCannotCarryIsReplacedNotLost() {
        let error = sent(RPCError(.notFound, reason: "ORDER_NOT_FOUND", "a\0b"))
        #expect(error.code == .notFound && error.reason == "ORDER_NOT_FOUND")
    }

    @Test func aPayloadThatCannotBeReadLeavesTheHeadersOutcome() {
        let header = FrameHeader.response(
            callID: 1, epoch: 1, queued: 0, served: 0, status: .unavailable, disposition: .maybe)
        let error = [0xFF, 0xFF].withUnsafeBytes { RPCError(header: header, payload: $0) }
        #expect(error.code == .unavailable && error.disposition == .maybe)
    }
}

@Suite struct IdentityTests {
    @Test(arguments: ["a", "0", "customer-17", "a.b_c-d", String(repeating: "x", count: 64)])
    func goodNames(name: String) { #expect(Identity(name)?.name == name) }

    @Test(arguments: ["", "-a", ".a", "A", "a b", "a\n", "ä", "a\0", String(repeating: "x", count: 65)])
    func badNames(name: String) { #expect(Identity(name) == nil) }
}
