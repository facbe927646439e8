import DequeModule
import Glibc
import RPC
import Synchronization
import ZeroMQ

/// The waiting calls of one client for one method. Protected by the dispatcher's lock, where it does not say otherwise.
final class Lane: @unchecked Sendable {
    @exclusivity(unchecked) fileprivate var calls = Deque<Call>() {
        didSet { published.store(calls.count, ordering: .relaxed) }
    }
    @exclusivity(unchecked) fileprivate var isInTurn = false
    /// How many calls are in it, for the frontend, which takes no lock for each call that arrives.
    private let published = Atomic<Int>(0)
    /// Calls that the frontend has admitted and not handed over yet. Belongs to the frontend thread.
    @exclusivity(unchecked) var admitted = 0

    /// Calls that wait, without those that share another's execution, as far as the dispatcher has seen them.
    var waiting: Int { published.load(ordering: .relaxed) }
}

/// What the frontend has to know of a method's queue, without a lock: each number is right, all together may be of different moments.
final class MethodLoad: Sendable {
    private let turnNanoseconds = Atomic<UInt64>(0)
    private let lanes = Atomic<Int>(0)
    private let waiting = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)

    /// Called with the dispatcher's lock.
    func publish(turnNanoseconds: UInt64, lanes: Int, waiting: Int, bytes: Int) {
        self.turnNanoseconds.store(turnNanoseconds, ordering: .relaxed)
        self.lanes.store(lanes, ordering: .relaxed)
        self.waiting.store(waiting, ordering: .relaxed)
        self.bytes.store(bytes, ordering: .relaxed)
    }

    /// Fills in what is known here.
    func read(into method: inout Admission.Method) {
        method.turnNanoseconds = turnNanoseconds.load(ordering: .relaxed)
        method.lanes = lanes.load(ordering: .relaxed)
        method.waiting = waiting.load(ordering: .relaxed)
        method.waitingBytes = bytes.load(ordering: .relaxed)
    }
}

/// The waiting calls of one method: a lane a client, served in turn, so that a client with many calls delays nobody else.
///
/// Pure: no thread, no clock, no I/O.
struct MethodQueue {
    let policy: DispatchPolicy
    /// Batches that run now.
    private(set) var running = 0
    /// Calls that wait, followers included.
    private(set) var count = 0
    /// Those of them that do not follow another.
    private var leaderCount = 0
    /// Payload bytes of the calls that wait.
    private(set) var bytes = 0
    /// What a call cost lately; at first more than any run.
    private var meanNanoseconds: UInt64 = MethodQueue.runNanoseconds
    /// What a turn cost lately: a call, a batch where calls are taken together, or those of one payload; 0 where nothing is known yet.
    private(set) var turnNanoseconds: UInt64 = 0
    /// Calls of `.one` that a worker takes at once and carries out one after the other: as many as fit into `runNanoseconds`
    /// by what they cost lately. Taking a call from the queue costs about a microsecond, which matters only to calls that
    /// cost little more; those that cost more are taken one by one, so that none waits behind another while a worker is free.
    private var runLength = 1
    /// Whether the next batch will be done sooner than a sleeping worker could wake up.
    private(set) var isQuick = false
    /// What batches took lately, where the handler's return is their end.
    private var times = ExecutionTimes()
    /// Lanes with waiting calls, in the order of service.
    private var turn = Deque<Lane>()
    /// With `.equalPayloads`: the waiting call that others with its payload follow.
    private var leaders: [PayloadKey: Call] = [:]

    init(policy: DispatchPolicy) { self.policy = policy }

    /// Says how it stands. Mutating only so that the queue is not copied for it.
    mutating func publish(to load: MethodLoad) {
        load.publish(turnNanoseconds: turnNanoseconds, lanes: laneCount, waiting: count, bytes: bytes)
    }

    /// Clients with waiting calls.
    var laneCount: Int { turn.count }

    /// Nanoseconds that nearly all batches need: a call with less time left need not begin. 0 where that is not known.
    var neededNanoseconds: UInt64 { times.p99 }

    /// Whether a worker could take a batch now.
    var isReady: Bool { running < policy.concurrency && count >= (running == 0 ? 1 : policy.callsForAnother) }

    /// Adds a call to the lane of its client.
    mutating func append(_ call: Call, to lane: Lane) {
        count += 1
        bytes += call.payload.count
        if policy.gather == .equalPayloads {
            let key = PayloadKey(frame: call.payload)
            if let leader = leaders[key], leader.followers.count < policy.maxCalls - 1 {
                leader.followers.append(call)
                return
            }
            leaders[key] = call
        }
        leaderCount += 1
        lane.calls.append(call)
        if !lane.isInTurn {
            lane.isInTurn = true
            turn.append(lane)
        }
    }

    /// Takes the next batch; it counts as running until `finishBatch`. Abandoned calls fall out here. Empty where nothing
    /// but abandoned calls waited: then nothing runs.
    ///
    /// - Parameter workers: threads among which what waits is shared out, where a batch has groups of equal calls.
    mutating func takeBatch(sharedBy workers: Int = 1) -> Batch {
        let batch = policy.gather == .equalPayloads ? takeGroups(atMost: share(of: workers)) : Batch(calls: takeCalls(), turns: 1)
        if !batch.calls.isEmpty { running += 1 }
        return batch
    }

    /// What a worker takes.
    struct Batch {
        var calls: [Call] = []
        /// Of how many groups of equal calls, where such are taken.
        var turns = 0
    }

    private mutating func takeCalls() -> [Call] {
        var batch: [Call] = []
        var bytes = 0
        let maxCalls = policy.gather == .all ? policy.maxCalls : runLength
        while batch.count < maxCalls, let lane = turn.first, let call = lane.calls.first {
            if !batch.isEmpty && bytes + call.payload.count > policy.maxBytes { break }
            remove(call, from: lane)
            guard !call.isAbandoned else { continue }
            batch.append(call)
            bytes += call.payload.count
        }
        return batch
    }

    /// How many different payloads a worker takes: none of the others shall have nothing to do meanwhile, and no call wait for long behind
    /// others that are dear.
    private func share(of workers: Int) -> Int {
        guard turnNanoseconds > 0 else { return 1 }
        let cheapEnough = Self.groupsNanoseconds / turnNanoseconds
        return max(1, min(policy.maxPayloads, leaderCount / max(1, min(workers, policy.concurrency)), Int(clamping: cheapEnough)))
    }

    private mutating func takeGroups(atMost maxPayloads: Int) -> Batch {
        var batch = Batch()
        while batch.turns < maxPayloads, let lane = turn.first, let call = lane.calls.first {
            if batch.turns > 0 && batch.calls.count + 1 + call.followers.count > policy.maxCalls { break }
            remove(call, from: lane)
            let group = takeGroup(led: call)
            if !group.isEmpty { batch.turns += 1 }
            batch.calls += group
        }
        return batch
    }

    /// Lets go of the abandoned calls that wait.
    mutating func removeAbandoned() {
        for lane in turn {
            lane.calls.removeAll { call in
                call.followers.removeAll { follower in
                    guard follower.isAbandoned else { return false }
                    forget(follower)
                    return true
                }
                // With followers it still leads them.
                guard call.isAbandoned, call.followers.isEmpty else { return false }
                forgetLeader(call)
                forget(call)
                leaderCount -= 1
                return true
            }
            if lane.calls.isEmpty { lane.isInTurn = false }
        }
        turn.removeAll { $0.calls.isEmpty }
    }

    /// A batch of so many turns is over: so many of its calls were carried out, in so many nanoseconds, and so many were not, as they had
    /// too little time left.
    mutating func finishBatch(count: Int, turns: Int = 1, hopeless: Int = 0, nanoseconds: UInt64) {
        running -= 1
        guard count > 0 else {
            if hopeless > 0 { times.refuse() }
            return
        }
        let each = nanoseconds / UInt64(count)
        // An eighth of the way: a batch whose worker lost its core for some milliseconds does not make cheap calls look dear,
        // and calls that are dear are noticed after one batch or two.
        meanNanoseconds = meanNanoseconds - meanNanoseconds / 8 + each / 8
        runLength = Int(max(1, min(Self.longestRun, Self.runNanoseconds / max(1, meanNanoseconds))))
        isQuick = policy.gather == .one && runLength > 1
        let turn = policy.gather == .one ? each : nanoseconds / UInt64(max(1, turns))
        turnNanoseconds = turnNanoseconds == 0 ? max(1, turn) : turnNanoseconds - turnNanoseconds / 8 + turn / 8
        if !policy.mayPark { times.add(policy.gather == .one ? each : nanoseconds) }
    }

    private static let runNanoseconds: UInt64 = 100_000
    private static let longestRun: UInt64 = 64
    /// Room for what a machine is held up by: six pages of a product list took a worker some 5 ms with all cores busy.
    private static let groupsNanoseconds: UInt64 = 20_000_000

    /// What all waiting calls will cost, by what they cost lately.
    var expectedNanoseconds: UInt64 { UInt64(count).multipliedReportingOverflow(by: meanNanoseconds).partialValue }

    /// How long one worker would have to do with all that wait.
    var backlogNanoseconds: UInt64 {
        // A worker takes up to `maxCalls` together.
        let turns = policy.gather == .all ? (count > 0 ? (count - 1) / policy.maxCalls + 1 : 0) : leaderCount
        return UInt64(turns).multipliedReportingOverflow(by: turnNanoseconds).partialValue
    }

    private mutating func remove(_ call: Call, from lane: Lane) {
        lane.calls.removeFirst()
        turn.removeFirst()
        leaderCount -= 1
        forget(call)
        if lane.calls.isEmpty { lane.isInTurn = false } else { turn.append(lane) }
    }

    private mutating func takeGroup(led leader: Call) -> [Call] {
        forgetLeader(leader)
        for follower in leader.followers { forget(follower) }
        let group = ([leader] + leader.followers).filter { !$0.isAbandoned }
        leader.followers = []
        return group
    }

    /// It waits no more.
    private mutating func forget(_ call: Call) {
        count -= 1
        bytes -= call.payload.count
    }

    private mutating func forgetLeader(_ call: Call) {
        guard policy.gather == .equalPayloads else { return }
        // A full group was followed by another of the same payload, which may lead by now.
        guard let place = leaders.index(forKey: PayloadKey(frame: call.payload)), leaders[place].value === call else { return }
        leaders.remove(at: place)
    }
}

/// A payload as a key: equal where the bytes are.
private struct PayloadKey: Hashable {
    let frame: Frame

    static func == (left: PayloadKey, right: PayloadKey) -> Bool {
        let (left, right) = (left.frame.unsafeBytes, right.frame.unsafeBytes)
        guard left.count == right.count, let start = left.baseAddress, let other = right.baseAddress else { return left.count == right.count }
        return start == other || memcmp(start, other, left.count) == 0
    }

    func hash(into hasher: inout Hasher) { hasher.combine(bytes: frame.unsafeBytes) }
}
