import Glibc
import Synchronization

/// A place in the life of an order at which a debug build can be made to die or to stand still, for tests.
///
/// `ORDERWIRE_FAULT="kill in-transaction 3"` ends the process with SIGKILL when it comes to that place for the third time; `stop` is
/// SIGSTOP. Release builds have nothing of this.
enum FaultPoint: String, Sendable {
    case beforeInsert = "before-insert"
    /// The orders are stored, and nobody knows yet.
    case afterInsert = "after-insert"
    /// The lease is locked and stock is taken, in a transaction that is open.
    case inTransaction = "in-transaction"
    case beforeCommit = "before-commit"
    /// The settlement is committed, and its orders are in the queue.
    case afterCommit = "after-commit"
    /// The orders are committed to have left the queue, and nobody was told.
    case afterExit = "after-exit"
    case beforePush = "before-push"
    case afterPush = "after-push"
    /// Acknowledgements have arrived and are not stored.
    case inAcknowledgement = "in-acknowledgement"
    /// The last holder's session is killed, and its lease not taken.
    case inRecovery = "in-recovery"

    /// Called where the place is.
    @inline(__always)
    func pass() {
        #if DEBUG
        Faults.chosen.pass(self)
        #endif
    }
}

/// A mistake that a debug build can be made to make (`ORDERWIRE_FAULT="flaw oversells"`), to prove that the checker of the tests
/// finds it.
enum Flaw: String, Sendable {
    case answersBeforeWriting = "answers-before-writing"
    case settlesUnfenced = "settles-unfenced"
    case oversells
    case losesNotifications = "loses-notifications"

    @inline(__always)
    var isPresent: Bool {
        #if DEBUG
        Faults.chosen.flaw == self
        #else
        false
        #endif
    }
}

#if DEBUG
/// What `ORDERWIRE_FAULT` asks for: one or more of "kill POINT COUNT", "stop POINT COUNT" and "flaw FLAW", with commas between.
private final class Faults: Sendable {
    static let chosen = Faults(getenv("ORDERWIRE_FAULT").map { String(cString: $0) } ?? "")

    let flaw: Flaw?
    private let point: FaultPoint?
    private let count: Int
    private let signal: Int32
    private let passed = Atomic(0)

    private init(_ text: String) {
        var (flaw, point, count, signal): (Flaw?, FaultPoint?, Int, Int32) = (nil, nil, 1, SIGKILL)
        for clause in text.split(separator: ",") {
            let words = clause.split(separator: " ").map(String.init)
            switch (words.first, words.dropFirst().first, words.dropFirst(2).first) {
            case ("flaw", let name?, nil): flaw = Flaw(rawValue: name)
            case ("kill", let name?, let number?): (point, count, signal) = (FaultPoint(rawValue: name), Int(number) ?? 0, SIGKILL)
            case ("stop", let name?, let number?): (point, count, signal) = (FaultPoint(rawValue: name), Int(number) ?? 0, SIGSTOP)
            default: break
            }
        }
        precondition(text.isEmpty || (flaw != nil || point != nil) && count > 0, "ORDERWIRE_FAULT: '\(text)' names no fault")
        (self.flaw, self.point, self.count, self.signal) = (flaw, point, count, signal)
    }

    func pass(_ point: FaultPoint) {
        guard point == self.point, passed.add(1, ordering: .relaxed).newValue == count else { return }
        kill(getpid(), signal)
    }
}
#endif
