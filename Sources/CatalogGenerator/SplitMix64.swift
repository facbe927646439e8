/// The generator of random numbers by Steele, Lea and Flood (2014): the same numbers on any machine and with any toolchain.
///
/// What is drawn from it is our own arithmetic, too: the standard library may change how it makes a range out of 64 bits.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// The numbers of one place in a long row: they can be had without those of the places before it.
    init(seed: UInt64, place: UInt64) {
        // A step of this size for each place would make neighbours share all numbers but one, so it is mixed.
        state = Self.mix(Self.mix(seed &+ Self.step) ^ place)
    }

    package mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.mix(state)
    }

    /// A number from 0 to `bound` - 1; each alike, but for less than a billionth where `bound` is below 2^32.
    mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: UInt64(bound).multipliedFullWidth(by: next()).high)
    }

    /// One of the words; there is at least one.
    mutating func pick(_ words: [String]) -> String { words[below(words.count)] }

    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
