/// Folds text for searching and sorting: case, accents and compatibility forms removed, so that "Über", "uber" and "ÜBER" are one.
///
/// The result depends on nothing but the table in this module: folded keys are stored in the database, and a toolchain with
/// a newer Unicode must not make them differ from those that are looked for.
enum NameFolding {
    static func fold(_ text: String) -> String {
        var text = text
        // Most names are ASCII, whose folding needs no table.
        if let folded = text.withUTF8(foldASCII) { return folded }
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { append(scalar, to: &scalars) }
        return String(scalars)
    }

    private static func foldASCII(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        guard bytes.allSatisfy({ $0 < 0x80 }) else { return nil }
        return String(unsafeUninitializedCapacity: bytes.count) { target in
            for (index, byte) in bytes.enumerated() { target[index] = foldASCII(byte) }
            return bytes.count
        }
    }

    /// Control characters become spaces, so that none of them can stand where a sort key has its separator.
    private static func foldASCII(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x41...0x5A: byte + 0x20
        case 0..<0x20, 0x7F: 0x20
        default: byte
        }
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String.UnicodeScalarView) {
        if scalar.isASCII {
            result.append(Unicode.Scalar(foldASCII(UInt8(scalar.value))))
        } else if hangulSyllables.contains(scalar.value) {
            appendJamo(of: scalar.value - hangulSyllables.lowerBound, to: &result)
        } else if let target = FoldingIndex.shared.target(of: scalar.value) {
            result.append(contentsOf: target)
        } else {
            result.append(scalar)
        }
    }

    /// Hangul syllables decompose by arithmetic (The Unicode Standard, section 3.12), as their letters may arrive one by one.
    private static func appendJamo(of index: UInt32, to result: inout String.UnicodeScalarView) {
        let (vowels, trailers): (UInt32, UInt32) = (21, 28)
        let leading = 0x1100 + index / (vowels * trailers)
        let vowel = 0x1161 + index % (vowels * trailers) / trailers
        let trailing = 0x11A7 + index % trailers
        for value in trailing == 0x11A7 ? [leading, vowel] : [leading, vowel, trailing] {
            if let scalar = Unicode.Scalar(value) { result.append(scalar) }
        }
    }

    private static let hangulSyllables: Range<UInt32> = 0xAC00..<0xD7A4
}

/// The table, parsed once and ready for binary search.
private struct FoldingIndex: Sendable {
    static let shared = FoldingIndex(parsing: FoldingTable.text)

    private struct Run: Sendable {
        var first: UInt32
        var count: UInt32
        /// Whether the run's targets follow each other, or are all the same.
        var isParallel: Bool
        var target: Range<Int>
    }

    private var runs: [Run] = []
    private var targets: [Unicode.Scalar] = []

    func target(of value: UInt32) -> [Unicode.Scalar]? {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].first <= value { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let run = runs[low - 1]
        let offset = value - run.first
        guard offset < run.count else { return nil }
        guard run.isParallel else { return Array(targets[run.target]) }
        return targets[run.target].compactMap { Unicode.Scalar($0.value + offset) }
    }

    private init(parsing text: StaticString) {
        text.withUTF8Buffer { bytes in
            for item in bytes.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }) { append(item) }
        }
    }

    private mutating func append(_ item: Slice<UnsafeBufferPointer<UInt8>>) {
        var run = Run(first: 0, count: 1, isParallel: false, target: targets.count..<targets.count)
        var position = item.startIndex
        run.first = Self.number(in: item, at: &position, radix: 16)
        if item[position] != UInt8(ascii: "=") {
            run.isParallel = item[position] == UInt8(ascii: "+")
            position += 1
            run.count = Self.number(in: item, at: &position, radix: 10)
        }
        while position < item.endIndex - 1 {  // at "=" or ","
            position += 1
            if let scalar = Unicode.Scalar(Self.number(in: item, at: &position, radix: 16)) { targets.append(scalar) }
        }
        run.target = run.target.lowerBound..<targets.count
        runs.append(run)
    }

    private static func number(in item: Slice<UnsafeBufferPointer<UInt8>>, at position: inout Int, radix: UInt32) -> UInt32 {
        var value: UInt32 = 0
        while position < item.endIndex {
            switch item[position] {
            case let digit where (0x30...0x39).contains(digit): value = value * radix + UInt32(digit - 0x30)
            case let letter where (0x41...0x46).contains(letter): value = value * radix + UInt32(letter - 0x41 + 10)
            default: return value
            }
            position += 1
        }
        return value
    }
}
