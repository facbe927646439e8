import EmbeddedMongoDB
import ProtoEcho
import RPC
import RPCClient
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// Event channels: who is told what, and who is not.
@Suite(.blocking) struct EventChannelTests {
    /// As many ports in a row as are asked for, kept for as long as the leases are.
    private static func ports(_ count: UInt16) -> (range: ClosedRange<UInt16>, leases: [PortLease]) {
        while true {
            let first = PortPicker.lease()
            let others = (1..<max(1, count)).compactMap { PortPicker.lease(again: first.port &+ $0) }
            if others.count == Int(count) - 1 { return (first.port...(first.port + count - 1), [first] + others) }
        }
    }

    private func publisher(_ range: ClosedRange<UInt16>, epoch: UInt32 = 7) -> EventPublisher {
        EventPublisher(endpoints: EventEndpoints(ports: range), epoch: epoch)
    }

    /// The first `count` events, each waited for up to ten seconds.
    private func events(_ count: Int, of stream: EventStream) async throws -> [Event] {
        try await withThrowingTaskGroup(of: [Event].self) { group in
            group.addTask {
                var events: [Event] = []
                for await event in stream where !event.isHeartbeat {
                    events.append(event)
                    if events.count == count { break }
                }
                return events
            }
            group.addTask {
                try await Task.sleep(for: .seconds(10))
                return []
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }

    @Test func eventsSayWhatCameBeforeThem() async throws {
        let (range, leases) = Self.ports(4)
        let publisher = publisher(range)
        defer { publisher.close() }
        let endpoint = try publisher.open(member: "m", token: "secret")
        let stream = try EventStream(endpoint: endpoint, memberID: "m", token: "secret")
        defer { stream.close() }
        for (sequence, text) in [(3, "a"), (4, ""), (9, "c")] as [(Int64, String)] {
            #expect(publisher.publish(to: "m", sequence: sequence, payload: Array(text.utf8)))
        }
        let events = try await events(3, of: stream)
        #expect(events.map(\.sequence) == [3, 4, 9] && events.map(\.previous) == [0, 3, 4])
        #expect(events.map { String(decoding: $0.payload, as: UTF8.self) } == ["a", "", "c"])
        #expect(events.allSatisfy { $0.serverEpoch == 7 })
        // The last one is counted as sent after it was sent: a fast reader can be here first.
        let deadline = Deadline.after(.seconds(20))
        while publisher.pending(of: "m") > 0, !deadline.hasPassed { await Task.yield() }
        #expect(publisher.pending(of: "m") == 0)
        withExtendedLifetime(leases) {}
    }

    /// Z17: PUSH tears a message of several frames when its peer goes, so an event is one frame.
    @Test func z17_anEventIsOneFrame() async throws {
        let (range, leases) = Self.ports(1)
        let publisher = publisher(range)
        defer { publisher.close() }
        let endpoint = try publisher.open(member: "m", token: "secret")
        #expect(publisher.publish(to: "m", sequence: 1, payload: [1, 2, 3]))
        let (outcome, bytes) = try await onThread { () throws -> (Socket.ReceiveOutcome, [UInt8]) in
            let socket = try Socket(.pull)
            try socket.set(.plainUsername, "m")
            try socket.set(.plainPassword, "secret")
            try socket.connect(endpoint)
            var poller = Poller()
            _ = poller.add(socket)
            let frame = Frame()
            for _ in 0..<100 {
                let outcome = try socket.receive(into: frame)
                if outcome != .wouldBlock { return (outcome, frame.bytes) }
                try poller.wait(milliseconds: 100)
            }
            return (.wouldBlock, [])
        }
        #expect(outcome == .last)
        #expect(bytes == FrameHeader.event(sequence: 1, previous: 0, epoch: 7).bytes + [1, 2, 3])
        withExtendedLifetime(leases) {}
    }

    /// Who is sent nothing for a while hears that nothing is missing; and what did not arrive shows, in the next event or, where none
    /// comes, in the next heartbeat.
    @Test(.timeLimit(.minutes(1))) func aLossShows() async throws {
        let (range, leases) = Self.ports(1)
        let publisher = EventPublisher(endpoints: EventEndpoints(ports: range), epoch: 7, heartbeatInterval: .milliseconds(50))
        defer { publisher.close() }
        let endpoint = try publisher.open(member: "m", token: "secret")
        func stream() throws -> EventStream { try EventStream(endpoint: endpoint, memberID: "m", token: "secret") }
        /// The first event that `isWanted`.
        func first(of stream: EventStream, _ isWanted: @escaping @Sendable (Event) -> Bool) async -> Event? {
            for await event in stream where isWanted(event) { return event }
            return nil
        }
        let one = try stream()
        let silent = await first(of: one) { $0.isHeartbeat }
        #expect(silent?.sequence == 0 && silent?.isAfterLoss == false && silent?.serverEpoch == 7)
        #expect(publisher.publish(to: "m", sequence: 4, payload: []))
        let four = await first(of: one) { !$0.isHeartbeat }
        #expect(four?.sequence == 4 && four?.isAfterLoss == false)
        let quiet = await first(of: one) { $0.isHeartbeat }
        #expect(quiet?.sequence == 4 && quiet?.isAfterLoss == false)
        one.close()
        // Another stream of the same member has missed it.
        let other = try stream()
        defer { other.close() }
        let late = await first(of: other) { _ in true }
        #expect(late?.isHeartbeat == true && late?.sequence == 4 && late?.isAfterLoss == true)
        #expect(publisher.publish(to: "m", sequence: 9, payload: []))
        let nine = await first(of: other) { !$0.isHeartbeat }
        #expect(nine?.sequence == 9 && nine?.previous == 4 && nine?.isAfterLoss == false)
        withExtendedLifetime(leases) {}
    }

    /// Whoever opens a channel learns when its member comes and when it has gone; strangers at the door are neither.
    @Test(.timeLimit(.minutes(1))) func comingAndGoingIsTold() async throws {
        let (range, leases) = Self.ports(1)
        let publisher = publisher(range)
        defer { publisher.close() }
        let told = Shared<[Bool]>([])
        let endpoint = try publisher.open(member: "m", token: "secret") { isConnected in told.withLock { $0.append(isConnected) } }
        let stranger = try EventStream(endpoint: endpoint, memberID: "m", token: "guess")
        let member = try EventStream(endpoint: endpoint, memberID: "m", token: "secret")
        #expect(try await eventually { told.value == [true] })
        stranger.close()
        for sequence in 1...100 { #expect(publisher.publish(to: "m", sequence: Int64(sequence), payload: [])) }
        #expect(try await events(100, of: member).count == 100)
        #expect(told.value == [true])
        member.close()
        #expect(try await eventually { told.value == [true, false] })
        let again = try EventStream(endpoint: endpoint, memberID: "m", token: "secret")
        defer { again.close() }
        #expect(try await eventually { told.value == [true, false, true] })
        withExtendedLifetime(leases) {}
    }

    struct Login: Sendable, CustomTestStringConvertible {
        let name: String?
        let token: String?
        var testDescription: String { "\(name ?? "no name"), \(token ?? "no token")" }
    }

    /// A stranger gets nothing, and until the right member comes everything stays here, counted.
    @Test(arguments: [
        Login(name: "m", token: "guess"), Login(name: "m", token: "secret "), Login(name: "other", token: "others"), Login(name: "m", token: "others"),
        Login(name: "m\0", token: "secret"), Login(name: "M", token: "secret"), Login(name: nil, token: nil),
    ]) func aStrangerGetsNothing(_ login: Login) async throws {
        let (range, leases) = Self.ports(2)
        let publisher = publisher(range)
        defer { publisher.close() }
        let endpoint = try publisher.open(member: "m", token: "secret")
        _ = try publisher.open(member: "other", token: "others")
        for sequence in 1...5 { #expect(publisher.publish(to: "m", sequence: Int64(sequence), payload: [])) }
        let received = try await onThread { () throws -> Socket.ReceiveOutcome in
            let socket = try Socket(.pull)
            if let name = login.name, let token = login.token {
                try socket.set(.plainUsername, name)
                try socket.set(.plainPassword, token)
            }
            try socket.connect(endpoint)
            var poller = Poller()
            _ = poller.add(socket)
            try poller.wait(milliseconds: 300)
            return try socket.receive(into: Frame())
        }
        #expect(received == .wouldBlock)
        #expect(publisher.pending(of: "m") == 5)
        let stream = try EventStream(endpoint: endpoint, memberID: "m", token: "secret")
        defer { stream.close() }
        #expect(try await events(5, of: stream).map(\.sequence) == [1, 2, 3, 4, 5])
        withExtendedLifetime(leases) {}
    }

    /// A member that does not come, strangers at its door, and one that does not read delay no other.
    @Test func aSlowMemberMeetsOnlyItsOwnLimit() async throws {
        let (range, leases) = Self.ports(3)
        let publisher = publisher(range)
        defer { publisher.close() }
        let absentEndpoint = try publisher.open(member: "absent", token: "a")
        let stranger = try EventStream(endpoint: absentEndpoint, memberID: "absent", token: "wrong")
        defer { stranger.close() }
        var taken = 0
        while publisher.publish(to: "absent", sequence: Int64(taken + 1), payload: Array(repeating: 0, count: 100)) { taken += 1 }
        #expect(taken == EventPublisher.maxPending)
        #expect(publisher.pending(of: "absent") == EventPublisher.maxPending)
        let endpoint = try publisher.open(member: "present", token: "p")
        let stream = try EventStream(endpoint: endpoint, memberID: "present", token: "p")
        defer { stream.close() }
        for sequence in 1...100 { #expect(publisher.publish(to: "present", sequence: Int64(sequence), payload: [])) }
        let before = MonotonicTime.now
        #expect(try await events(100, of: stream).count == 100)
        #expect(MonotonicTime.now.microseconds(since: before) < 5_000_000)
        #expect(publisher.pending(of: "absent") == EventPublisher.maxPending)
        #expect(!publisher.publish(to: "nobody", sequence: 1, payload: []))
        withExtendedLifetime(leases) {}
    }

    @Test func portsRunOutAndAreTakenInTurn() throws {
        let (range, leases) = Self.ports(3)
        let publisher = publisher(range)
        defer { publisher.close() }
        let endpoints = try (0..<3).map { try publisher.open(member: "m\($0)", token: "t") }
        #expect(endpoints == range.map { "tcp://127.0.0.1:\($0)" })
        let error = #expect(throws: RPCError.self) { try publisher.open(member: "one-too-many", token: "t") }
        #expect(error?.code == .resourceExhausted && error?.reason == "EVENT_PORTS_TAKEN" && error?.retryDelay != nil)
        #expect(!publisher.publish(to: "one-too-many", sequence: 1, payload: []))
        // A port comes back once its member is gone, which libzmq lets happen a little later.
        publisher.close(member: "m1")
        let deadline = Deadline.after(.seconds(10))
        var again: String?
        while again == nil, !deadline.hasPassed {
            do throws(RPCError) { again = try publisher.open(member: "next", token: "t") } catch { #expect(error.reason == "EVENT_PORTS_TAKEN") }
        }
        #expect(again == endpoints[1])
        withExtendedLifetime(leases) {}
    }

    /// A port changes its owner as late as can be: another member gets another one while there are any.
    @Test func aPortIsNotGivenAwayAtOnce() throws {
        let (range, leases) = Self.ports(4)
        let publisher = publisher(range)
        defer { publisher.close() }
        var endpoints: [String] = []
        for index in 0..<4 {
            endpoints.append(try publisher.open(member: "m\(index)", token: "t"))
            publisher.close(member: "m\(index)")
        }
        #expect(Set(endpoints).count == 4)
        withExtendedLifetime(leases) {}
    }

    /// A member that comes back to a port that another has now gets none of the other's events.
    @Test func aFormerMemberGetsNothingOfItsSuccessor() async throws {
        let (range, leases) = Self.ports(1)
        let publisher = publisher(range)
        defer { publisher.close() }
        let endpoint = try publisher.open(member: "former", token: "f")
        let former = try EventStream(endpoint: endpoint, memberID: "former", token: "f")
        defer { former.close() }
        #expect(publisher.publish(to: "former", sequence: 1, payload: []))
        #expect(try await events(1, of: former).count == 1)
        publisher.close(member: "former")
        let isReopened = try await eventually {
            do throws(RPCError) { return try publisher.open(member: "successor", token: "s") == endpoint } catch { return false }
        }
        #expect(isReopened)
        #expect(publisher.publish(to: "successor", sequence: 2, payload: []))
        let successor = try EventStream(endpoint: endpoint, memberID: "successor", token: "s")
        defer { successor.close() }
        #expect(try await events(1, of: successor).map(\.sequence) == [2])
        for sequence in 3...50 { #expect(publisher.publish(to: "successor", sequence: Int64(sequence), payload: [])) }
        #expect(try await events(48, of: successor).map(\.sequence) == Array(3...50))
        withExtendedLifetime(leases) {}
    }

    /// A member that opens its channel anew starts with nothing pending but what was published since.
    @Test func aChannelThatIsOpenedAnewStartsEmpty() async throws {
        let (range, leases) = Self.ports(3)
        let publisher = publisher(range)
        defer { publisher.close() }
        _ = try publisher.open(member: "m", token: "one")
        for sequence in 1...100 { #expect(publisher.publish(to: "m", sequence: Int64(sequence), payload: [])) }
        let endpoint = try publisher.open(member: "m", token: "two")
        #expect(publisher.pending(of: "m") == 0)
        #expect(publisher.publish(to: "m", sequence: 101, payload: []))
        #expect(publisher.pending(of: "m") == 1)
        let stream = try EventStream(endpoint: endpoint, memberID: "m", token: "two")
        defer { stream.close() }
        let event = try await events(1, of: stream).first
        #expect(event?.sequence == 101 && event?.previous == 0)
        #expect(try await eventually { publisher.pending(of: "m") == 0 })
        withExtendedLifetime(leases) {}
    }

    @Test func aStreamFindsARestartedServer() async throws {
        let (range, leases) = Self.ports(1)
        let first = publisher(range, epoch: 1)
        let endpoint = try first.open(member: "m", token: "secret")
        let stream = try EventStream(endpoint: endpoint, memberID: "m", token: "secret")
        defer { stream.close() }
        #expect(first.publish(to: "m", sequence: 5, payload: []))
        #expect(try await events(1, of: stream).first?.serverEpoch == 1)
        first.close()
        let second = publisher(range, epoch: 2)
        defer { second.close() }
        let isReopened = try await eventually {
            do throws(RPCError) { return try second.open(member: "m", token: "secret") == endpoint } catch { return false }
        }
        #expect(isReopened)
        #expect(second.publish(to: "m", sequence: 6, payload: []))
        let event = try await events(1, of: stream).first
        // Another epoch, and nothing before it: the member knows that it has to look for what it missed.
        #expect(event?.sequence == 6 && event?.previous == 0 && event?.serverEpoch == 2)
        withExtendedLifetime(leases) {}
    }

    @Test func closingAStreamEndsItsLoop() async throws {
        let stream = try EventStream(endpoint: "tcp://127.0.0.1:\(PortPicker.free())", memberID: "m", token: "t")
        let loop = Task {
            var count = 0
            for await _ in stream { count += 1 }
            return count
        }
        stream.close()
        stream.close()
        #expect(await loop.value == 0)
        #expect(throws: RPCError.self) { try EventStream(endpoint: "nonsense", memberID: "m", token: "t") }
    }

    /// Nobody waits for ever for a publisher that closes meanwhile.
    @Test func openingWhileItClosesIsAnswered() async throws {
        for _ in 0..<50 {
            let (range, leases) = Self.ports(1)
            let publisher = publisher(range)
            let opening = (0..<4).map { index in
                Task { await failure { () throws(RPCError) in try publisher.open(member: "m\(index)", token: "t") } }
            }
            publisher.close()
            for task in opening {
                let error = await task.value
                #expect(error == nil || error?.reason == "SHUTTING_DOWN" || error?.reason == "EVENT_PORTS_TAKEN")
            }
            #expect(!publisher.publish(to: "m0", sequence: 1, payload: []))
            #expect(throws: RPCError.self) { try publisher.open(member: "late", token: "t") }
            withExtendedLifetime(leases) {}
        }
    }
}
