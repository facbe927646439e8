import RPC
import TestSupport
import Testing

@testable import Shop

/// A group, its server and its members, over crashes of the server: what happens is random, what must hold is simple.
struct GroupDeliveryHistory {
    /// What the model knows of one of the clients that are, or were, members.
    private struct Client {
        /// In its hands: sent, and not acknowledged through this membership.
        var holds: Set<Int64> = []
        var heardAt: MonotonicTime
        var isConnected = false
    }

    private let terms: GroupDelivery.Terms
    private let start: Int64
    private let end: Int64
    /// Numbers that are for this group.
    private let log: [Int64]

    private var random: SeededGenerator
    private var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
    private var delivery: GroupDelivery
    private var stored: Int64
    private var clients: [String: Client] = [:]
    private var names = 0
    /// Acknowledged by whomever, in any term of the server.
    private var acknowledged: Set<Int64> = []
    /// Acknowledged in this term.
    private var done: Set<Int64> = []
    /// Who has what, since when, in this term.
    private var held: [Int64: (client: String, since: MonotonicTime)] = [:]
    /// Where this term began.
    private var began: Int64
    private var tickedAt = MonotonicTime(nanoseconds: 0)
    /// Index in the log of what is not acknowledged by anybody.
    private var firstOpen = 0
    private var isRight = true

    init(_ random: inout SeededGenerator) {
        terms = GroupDelivery.Terms(
            window: Int.random(in: 1...8, using: &random), firstShare: Int.random(in: 1...4, using: &random), acknowledgementTimeout: .seconds(15), silence: .seconds(5),
            readAhead: Int.random(in: 1...8, using: &random))
        start = Int64.random(in: 0...50, using: &random)
        end = start + Int64.random(in: 0...80, using: &random)
        let share = Int.random(in: 1...4, using: &random)
        var log: [Int64] = []
        for number in start..<end where Int.random(in: 0..<share, using: &random) == 0 { log.append(number + 1) }
        self.log = log
        stored = start
        began = start
        delivery = GroupDelivery(lowMark: start, terms: terms)
        self.random = SeededGenerator(seed: UInt64.random(in: 0 ... .max, using: &random))
    }

    mutating func passes() -> Bool {
        for _ in 0..<120 where isRight {
            step()
            check()
        }
        if isRight { comeToRest() }
        return isRight
    }

    private mutating func expect(_ condition: Bool, _ text: @autoclosure () -> String) {
        guard !condition, isRight else { return }
        isRight = false
        Issue.record("\(text()); window \(terms.window), mark \(delivery.lowMark), position \(delivery.position)")
    }

    private mutating func step() {
        now = now.advanced(by: .milliseconds(Int.random(in: 0...400, using: &random)))
        let someone = clients.keys.sorted().randomElement(using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<25: read()
        case 25..<50: deal(losing: false)
        case 50..<75: if let someone { acknowledge(someone) }
        case 75..<80: join()
        case 80..<83: if let someone { leave(someone) }
        case 83..<88: if let someone { connect(someone) }
        case 88..<93: tick()
        case 93..<96: stored = max(stored, delivery.lowMark)
        case 96: now = now.advanced(by: .seconds(Int.random(in: 5...40, using: &random)))  // a time jump, in which nobody is heard
        case 97:
            delivery.forgiveSilence(at: now)
            for name in clients.keys { clients[name]?.heardAt = now }
        case 98: deal(losing: true)
        default: restart()
        }
    }

    private mutating func read() {
        let next = log.filter { $0 > delivery.position }.prefix(Int.random(in: 1...5, using: &random))
        guard let last = next.last else { return delivery.read([], through: end) }
        delivery.read(next.map { .init(sequence: $0, payload: [UInt8(truncatingIfNeeded: $0)]) }, through: last)
    }

    /// - Parameter losing: the server crashes between the decision and the sending.
    private mutating func deal(losing: Bool) {
        let pushes = delivery.deal(at: now)
        if losing { return restart() }
        for push in pushes {
            let sequence = push.event.sequence
            expect(log.contains(sequence) && sequence > start, "sent \(sequence), which is not the group's")
            expect(push.event.payload == [UInt8(truncatingIfNeeded: sequence)], "the payload of another")
            expect(!done.contains(sequence), "sent \(sequence), which is acknowledged")
            expect(clients[push.member]?.isConnected == true, "sent to nobody")
            if let holder = held[sequence], clients[holder.client] != nil {
                expect(holder.since.advanced(by: terms.acknowledgementTimeout) <= now, "\(sequence) is with two members before its time")
            }
            held[sequence] = (push.member, now)
            clients[push.member]?.holds.insert(sequence)
        }
        for client in clients.values { expect(client.holds.count <= terms.window, "a window is exceeded") }
        if clients.count == 1, held.count == pushes.count, done.isEmpty {
            expect(pushes.map(\.event.sequence) == pushes.map(\.event.sequence).sorted(), "a lone member gets them out of order")
        }
        checkThatNobodyIsIdle()
    }

    /// Nothing waits, with a member that has gone or whose time is over, while another one has nothing to do.
    private mutating func checkThatNobodyIsIdle() {
        guard clients.values.contains(where: { $0.isConnected && $0.holds.isEmpty }) else { return }
        for sequence in log where sequence > began && sequence <= delivery.position && !done.contains(sequence) {
            guard let holder = held[sequence], clients[holder.client] != nil else {
                return expect(false, "\(sequence) waits for nothing")
            }
            expect(holder.since.advanced(by: terms.acknowledgementTimeout) > tickedAt, "\(sequence) is not taken from who is late")
        }
    }

    private mutating func acknowledge(_ name: String) {
        var sequences = (clients[name]?.holds ?? []).sorted().filter { _ in Bool.random(using: &random) }
        // Repeated ones, in any order; with some luck such that somebody else holds, from a former membership.
        sequences += sequences.prefix(2) + held.keys.sorted().filter { _ in Int.random(in: 0..<20, using: &random) == 0 }
        sequences.shuffle(using: &random)
        let isNew = delivery.acknowledge(sequences + [end + 1, .max, -1], by: name, at: now)
        expect(isNew == !sequences.allSatisfy(done.contains), "says that \(isNew ? "something" : "nothing") became done")
        clients[name]?.heardAt = now
        clients[name]?.holds.subtract(sequences)
        done.formUnion(sequences)
        acknowledged.formUnion(sequences)
    }

    private mutating func join() {
        names += 1
        delivery.join("m\(names)", at: now)
        clients["m\(names)"] = Client(heardAt: now)
        if Bool.random(using: &random) { connect("m\(names)") }
    }

    private mutating func connect(_ name: String) {
        delivery.connect(name, at: now)
        clients[name]?.isConnected = true
        clients[name]?.heardAt = now
    }

    private mutating func leave(_ name: String) {
        delivery.leave(name)
        clients[name] = nil
    }

    private mutating func tick() {
        tickedAt = now
        let silent = Set(clients.filter { $0.value.heardAt.advanced(by: terms.silence) <= now }.keys)
        expect(Set(delivery.tick(at: now)) == silent, "the wrong members are silent")
        for name in silent { clients[name] = nil }
    }

    /// The server is gone with all it knew but the stored mark; members find the next one, or not.
    private mutating func restart() {
        delivery = GroupDelivery(lowMark: stored, terms: terms)
        began = stored
        clients = [:]
        held = [:]
        done = []
    }

    private mutating func check() {
        while let next = log.dropFirst(firstOpen).first, acknowledged.contains(next) { firstOpen += 1 }
        let safe = (log.dropFirst(firstOpen).first ?? .max) - 1
        expect(delivery.lowMark <= safe, "the mark passes what nobody acknowledged")
        expect(stored <= safe, "the stored mark passes what nobody acknowledged")
        expect(delivery.position >= delivery.lowMark && Set(delivery.memberIDs) == Set(clients.keys), "the state is inconsistent")
    }

    /// One last member gets and acknowledges what is left.
    private mutating func comeToRest() {
        join()
        connect("m\(names)")
        for _ in 0..<1000 where delivery.lowMark < end {
            read()
            now = now.advanced(by: .seconds(1))
            tick()
            if clients["m\(names)"] == nil { join() }
            let name = "m\(names)"
            connect(name)
            deal(losing: false)
            let all = (clients[name]?.holds ?? []).sorted()
            _ = delivery.acknowledge(all, by: name, at: now)
            clients[name]?.holds = []
            clients[name]?.heardAt = now
            done.formUnion(all)
            acknowledged.formUnion(all)
        }
        expect(acknowledged.isSuperset(of: log), "something was never acknowledged")
        expect(delivery.lowMark == max(end, start), "the mark does not reach the end")
    }
}
