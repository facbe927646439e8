import RPC

/// What products are drawn with: our own arithmetic, as the standard library may change how it makes a range out of 64 bits.
extension SplitMix64 {
    /// The numbers of one place in a long row: they can be had without those of the places before it.
    init(seed: UInt64, place: UInt64) {
        // A step of this size for each place would make neighbours share all numbers but one, so it is mixed.
        self.init(seed: Self.mix(Self.mix(seed &+ Self.step) ^ place))
    }

    /// A number from 0 to `bound` - 1; each alike, but for less than a billionth where `bound` is below 2^32.
    mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: UInt64(bound).multipliedFullWidth(by: next()).high)
    }

    /// One of the words; there is at least one.
    mutating func pick(_ words: [String]) -> String { words[below(words.count)] }
}
