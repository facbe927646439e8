import Synchronization

/// Answers libzmq's questions whether a peer may come in: the process's one ZAP handler (https://rfc.zeromq.org/spec/27).
///
/// libzmq asks on `inproc://zeromq.zap.01` for each peer of a socket that has a ZAP domain. Only PLAIN logins are known:
/// a domain has one user name and password. Everything else is refused. Members may be used by any thread.
package final class Authenticator: Sendable {
    /// The handler, which is started by the first use. Use it before binding a socket that relies on it: without a handler
    /// libzmq admits everybody.
    package static let shared = Authenticator()

    private struct Login: Equatable {
        let username: String
        let password: String
    }

    private let logins = Mutex<[String: Login]>([:])

    private init() {
        let started = Semaphore()
        _ = SocketThread(name: "zap") { [self] in
            do throws(ZeroMQError) {
                let socket = try Socket(.reply)
                try socket.bind("inproc://zeromq.zap.01")
                started.signal()
                try serve(socket)
            } catch {
                // Nobody may come in unasked: better no process than an open one.
                preconditionFailure("the ZAP handler failed: \(error)")
            }
        }
        started.wait()
    }

    /// Lets peers of sockets with this ZAP domain in if they have these credentials.
    package func allow(domain: String, username: String, password: String) {
        logins.withLock { $0[domain] = Login(username: username, password: password) }
    }

    /// Lets nobody new into this domain.
    package func forget(domain: String) {
        logins.withLock { $0[domain] = nil }
    }

    private func serve(_ socket: borrowing Socket) throws(ZeroMQError) {
        var poller = Poller()
        _ = poller.add(socket)
        while true {
            try poller.wait(milliseconds: nil)
            var fields: [[UInt8]] = []
            let frame = Frame()
            var outcome = try socket.receive(into: frame)
            while outcome != .wouldBlock {
                fields.append(frame.bytes)
                if outcome == .last { break }
                outcome = try socket.receive(into: frame)
            }
            if !fields.isEmpty { try answer(fields, on: socket) }
        }
    }

    /// Frames of a request: version, request id, domain, address, routing id, mechanism, credentials.
    private func answer(_ fields: [[UInt8]], on socket: borrowing Socket) throws(ZeroMQError) {
        let user = fields.count == 8 ? admittedUser(fields) : nil
        let status = user == nil ? ("400", "refused") : ("200", "OK")
        let reply: [[UInt8]] = [
            Array("1.0".utf8), fields.count > 1 ? fields[1] : [], Array(status.0.utf8), Array(status.1.utf8),
            Array((user ?? "").utf8), [],
        ]
        for (index, field) in reply.enumerated() {
            _ = try socket.send(Frame(copying: field), more: index < reply.count - 1)
        }
    }

    private func admittedUser(_ fields: [[UInt8]]) -> String? {
        let text = fields.map { String(decoding: $0, as: UTF8.self) }
        guard text[0] == "1.0", text[5] == "PLAIN" else { return nil }
        let claimed = Login(username: text[6], password: text[7])
        return logins.withLock { $0[text[2]] } == claimed ? claimed.username : nil
    }
}
