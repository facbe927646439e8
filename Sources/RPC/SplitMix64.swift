/// Steele, Lea and Flood's generator of random numbers (2014): a few instructions, where the system's own costs a system call a
/// number, and the same numbers on any machine.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.mix(state)
    }

    /// Between the states of two numbers that follow each other.
    package static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// What becomes of a state: no two have the same.
    package static func mix(_ state: UInt64) -> UInt64 {
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
