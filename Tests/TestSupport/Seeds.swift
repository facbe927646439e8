import Glibc
package import RPC

/// Random numbers that can be had again: a failing test shows its seed as an argument, and `ORDERWIRE_SEED` repeats it.
package typealias SeededGenerator = SplitMix64

package enum Seeds {
    /// Whether there is time for a long run: `make check-long`.
    package static var isLong: Bool { getenv("ORDERWIRE_LONG").map { String(cString: $0) } == "1" }

    /// `count` seeds, `long` in a long run: other ones in every run, or the one to repeat.
    package static func fresh(_ count: Int, long: Int? = nil) -> [UInt64] {
        if let given = getenv("ORDERWIRE_SEED"), let seed = UInt64(String(cString: given)) { return [seed] }
        return (0..<(isLong ? long ?? count : count)).map { _ in UInt64.random(in: 0...UInt64(UInt32.max)) }
    }
}
