import RPC
import ZeroMQ

/// The frames of one message that a ROUTER received: the peer's name, the header, the payload. Used again for each.
final class IncomingMessage {
    private let peerFrame = Frame()
    private let headerFrame = Frame()
    private let excess = Frame()

    /// Frames after the peer's name; only the first two are kept.
    private(set) var frameCount = 0
    /// The payload, which the next `receive` leaves alone.
    private(set) var payload = Frame()

    /// The peer, or nil where it chose a name of its own.
    var peer: PeerID? { PeerID(peerFrame.unsafeBytes) }

    /// The header with its TLVs.
    var header: UnsafeRawBufferPointer { headerFrame.unsafeBytes }

    /// Receives a whole message; false where none waits. Frames beyond the second are let go one by one as they are read:
    /// neither high-water marks nor size limits bound their number.
    func receive(from socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        var outcome = try socket.receive(into: peerFrame)
        if outcome == .wouldBlock { return false }
        frameCount = 0
        while outcome == .more {
            switch frameCount {
            case 0:
                outcome = try socket.receive(into: headerFrame)
            case 1:
                payload = Frame()
                outcome = try socket.receive(into: payload)
            default:
                outcome = try socket.receive(into: excess)
            }
            frameCount += 1
        }
        return true
    }
}
