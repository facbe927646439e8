import Glibc
import RPC

/// ZMTP 3.1 by hand (https://rfc.zeromq.org/spec/37): what libzmq's own sockets would not do for a test.
extension TCPStream {
    /// Greets, says READY as a socket of this type with this routing id, and waits until the other side is ready, too.
    func handshake(as type: String = "DEALER", routingID: [UInt8] = [], within limit: Duration = .seconds(5)) throws {
        let greeting: [UInt8] = [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1] + Array("NULL".utf8) + Array(repeating: 0, count: 48)
        var body = [5] + Array("READY".utf8)
        for (name, value) in [("Socket-Type", Array(type.utf8)), ("Identity", routingID)] {
            body += [UInt8(name.utf8.count)] + Array(name.utf8) + [0, 0, 0, UInt8(value.count)] + value
        }
        try write(greeting + [4, UInt8(body.count)] + body)
        guard receive(until: Array("READY".utf8), within: limit) else { throw Failure("handshake") }
    }

    /// Reads until `bytes` have come; false where they do not in time, or the connection ends.
    func receive(until bytes: [UInt8], within limit: Duration = .seconds(20)) -> Bool {
        let deadline = Deadline.after(limit)
        var received: [UInt8] = []
        while !deadline.hasPassed {
            guard let more = read(milliseconds: 100) else { continue }
            received = received.suffix(bytes.count) + more
            if received.contains(bytes) { return true }
            if more.isEmpty { return false }
        }
        return false
    }

    /// The bytes of a message of these frames, each shorter than 256 bytes.
    static func message(_ frames: [[UInt8]]) -> [UInt8] {
        frames.enumerated().flatMap { index, frame in [index < frames.count - 1 ? 1 : 0, UInt8(frame.count)] + frame }
    }

    /// Writes `bytes` again and again until the other side takes no more for `milliseconds`, or `limit` bytes have gone.
    func flood(_ bytes: [UInt8], limit: Int = 200_000_000, milliseconds: Int32 = 500) -> Int {
        var sent = 0
        var offset = 0
        while sent < limit {
            var item = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&item, 1, milliseconds) > 0, Int32(item.revents) & POLLOUT != 0 else { break }
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            guard count > 0 else { break }
            sent += count
            offset = (offset + count) % bytes.count
        }
        return sent
    }
}
