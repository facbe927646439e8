/// How long to wait before a failed piece of work is tried again: longer each time, and never the same for two that collide.
struct Backoff {
    /// Tries that failed since the last success.
    private(set) var failures = 0
    /// The longest wait.
    private let longest: Duration

    init(longest: Duration = Self.longest) { self.longest = longest }

    /// Below it, a conflict has hardly had time to go away.
    static let first = Duration.milliseconds(5)
    static let factor = 1.5
    /// Above it, waiting longer helps nobody.
    static let longest = Duration.milliseconds(500)
    /// For transactions of few documents, which have to find the gaps between those of an import.
    static let longestOfSmall = Duration.milliseconds(50)

    /// The wait after one more failure: between half and the whole of 5 ms x 1.5^n, at most 500 ms.
    mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let ceiling = min(Self.ceiling(afterFailures: failures), longest)
        failures += 1
        return ceiling * Double.random(in: 0.5...1, using: &generator)
    }

    mutating func next() -> Duration {
        var generator = SystemRandomNumberGenerator()
        return next(using: &generator)
    }

    mutating func reset() { failures = 0 }

    private static func ceiling(afterFailures failures: Int) -> Duration {
        var ceiling = first
        for _ in 0..<min(failures, 32) where ceiling < longest { ceiling = ceiling * factor }
        return min(ceiling, longest)
    }
}
