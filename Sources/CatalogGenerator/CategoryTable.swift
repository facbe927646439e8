import RPC

/// The categories of generated products, and how often each occurs.
///
/// Popularity falls as Zipf and Mandelbrot found it to fall with words: the category of rank r gets a share in proportion to
/// 1 / (r + shift). With this shift the first of the 240 gets 5.0 % of all products: 50,000 of a million.
enum CategoryTable {
    /// By rank, the most popular first.
    static let names: [String] = {
        // Each genre on its own before all variants of it: whoever looks for "rock" finds one large category and many smaller.
        Words.genreVariants.flatMap { variant in
            Words.genres.map { variant.isEmpty ? $0 : variant + " " + $0 }
        }
    }()

    private static let shift: UInt64 = 4

    /// Sums of the weights up to each rank. Whole numbers, so that no machine rounds otherwise.
    private static let bounds: [UInt64] = {
        var sum: UInt64 = 0
        return names.indices.map { index in
            sum += (1 << 40) / (UInt64(index) + 1 + shift)
            return sum
        }
    }()

    static func pick(_ random: inout SplitMix64) -> String {
        let target = bounds[bounds.count - 1].multipliedFullWidth(by: random.next()).high
        var (low, high) = (0, bounds.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] > target { high = middle } else { low = middle + 1 }
        }
        return names[low]
    }
}
