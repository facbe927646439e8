import Testing
import ZeroMQ

@Suite struct MailboxTests {
    /// Many threads post while the reader sleeps and wakes: nothing is lost, and no wake-up is missed (a missed one would
    /// show as a wait of five seconds).
    @Test func nothingIsLostAndNoWakeUpIsMissed() throws {
        let mailbox = Mailbox<Int>()
        let perThread = 20_000
        let threads = (0..<4).map { thread in
            SocketThread(name: "poster") { for index in 0..<perThread { mailbox.post(thread * perThread + index) } }
        }
        var poller = Poller()
        let index = poller.add(fileDescriptor: mailbox.fileDescriptor)
        var seen: [Int] = []
        while seen.count < 4 * perThread {
            mailbox.drain { seen.append($0) }
            if seen.count == 4 * perThread { break }
            if mailbox.prepareToSleep() {
                try poller.wait(milliseconds: 5000)
                let isWoken = poller.isReadable(index)
                #expect(isWoken, "no wake-up within five seconds, \(seen.count) seen")
            }
            mailbox.didWake()
        }
        for thread in threads { thread.join() }
        #expect(Set(seen).count == 4 * perThread)
        // What one thread posts stays in order.
        for thread in 0..<4 { #expect(seen.filter { $0 / perThread == thread } == Array(thread * perThread..<(thread + 1) * perThread)) }
    }
}

@Suite struct AuthenticatorTests {
    /// Whether an event pushed on a socket of this domain reaches a PULL with these credentials.
    private func isAdmitted(domain: String, username: String?, password: String?) throws -> Bool {
        let push = try Socket(.push)
        try push.set(.plainServer, 1)
        try push.set(.zapDomain, domain)
        try push.set(.zapEnforceDomain, 1)
        try push.bind("tcp://127.0.0.1:*")
        let pull = try Socket(.pull)
        if let username, let password {
            try pull.set(.plainUsername, username)
            try pull.set(.plainPassword, password)
        }
        try pull.monitor(on: "inproc://monitor-\(domain)", events: [.handshakeSucceeded, .handshakeFailed, .authenticationFailed, .disconnected])
        let monitor = try ConnectionMonitor(endpoint: "inproc://monitor-\(domain)")
        // Before the reader goes: an event without a reader stops libzmq's I/O thread.
        defer { pull.stopMonitoring() }
        try pull.connect(try push.lastEndpoint())
        var poller = Poller()
        _ = poller.add(monitor.socket)
        for _ in 0..<50 {
            if let event = try monitor.next() {
                if event == .handshakeSucceeded { return true }
                return try push.send(Frame(copying: [1]), more: false) == .sent
            }
            try poller.wait(milliseconds: 100)
        }
        Issue.record("no event within five seconds")
        return false
    }

    @Test func onlyTheRightLoginComesIn() throws {
        let authenticator = Authenticator.shared
        for domain in ["right", "wrong", "none", "other"] { authenticator.allow(domain: domain, username: "m", password: "secret") }
        #expect(try isAdmitted(domain: "right", username: "m", password: "secret"))
        #expect(try !isAdmitted(domain: "wrong", username: "m", password: "guess"))
        #expect(try !isAdmitted(domain: "other", username: "n", password: "secret"))
        #expect(try !isAdmitted(domain: "none", username: nil, password: nil))
        #expect(try !isAdmitted(domain: "unknown-domain", username: "m", password: "secret"))
    }
}
