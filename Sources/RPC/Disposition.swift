/// Whether a call that failed was carried out: what a caller has to know before it tries again.
public enum Disposition: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// Nobody can tell: it may have run, may run yet, or never will. Repeat it only where that does no harm.
    case maybe = 0
    /// No handler saw it, or the handler vouches that nothing was changed. Repeating it is safe.
    case notExecuted = 1
    /// The handler decided it: the answer is final.
    case executed = 2

    /// The name on the wire document: "MAYBE", "NOT_EXECUTED" or "EXECUTED".
    public var description: String {
        switch self {
        case .maybe: "MAYBE"
        case .notExecuted: "NOT_EXECUTED"
        case .executed: "EXECUTED"
        }
    }
}
