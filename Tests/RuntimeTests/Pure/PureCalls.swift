import RPC
@testable import RPCServer
import ZeroMQ

/// Calls that no socket brought.
enum PureCalls {
    /// Nobody reads it: what would be answered is not looked at.
    private static let inbox = Mailbox<FrontendInput>()

    static func call(
        id: UInt64, client: String = "client", payload: [UInt8] = [], peer: UInt32 = 1, method: Int = 0, deadline: UInt64 = .max,
        arrival: UInt64 = 1
    ) -> Call {
        guard let identity = Identity(client) else { preconditionFailure("no name: \(client)") }
        return Call(
            header: .request(callID: id, method: 0, sentAt: 0, budget: 0, extensionLength: 0), extensions: .empty,
            peer: PeerID(bytes: peer), identity: identity, method: method, payload: Frame(copying: payload),
            arrival: MonotonicTime(nanoseconds: arrival), deadline: Deadline(MonotonicTime(nanoseconds: deadline)), frontend: inbox)
    }
}

extension Call {
    /// As the frontend does it.
    func abandon() {
        _ = giveUp()
        abandon(RPCError(.cancelled, reason: "CANCELLED", "given up"))
    }
}
