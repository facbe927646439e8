extension Duration {
    /// A time as people write it: "500ms", "5s", "1.5s", "2m", "1h", "30d". Nil where it is none, negative, or longer than a year.
    init?(text: some StringProtocol) {
        let units: [(suffix: String, seconds: Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]
        guard let unit = units.first(where: { text.hasSuffix($0.suffix) }),
            case let number = text.dropLast(unit.suffix.count),
            number.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }),
            let count = Double(number), count * unit.seconds <= 366 * 86400
        else { return nil }
        self = .milliseconds(Int64((count * unit.seconds * 1000).rounded()))
    }

    /// The time in seconds, as ProtoJSON writes it: "1.5s".
    var secondsText: String {
        let milliseconds = Int64(self / .milliseconds(1))
        let (whole, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        if rest == 0 { return "\(whole)s" }
        let digits = String(rest)
        return "\(whole).\(String(repeating: "0", count: 3 - digits.count))\(digits)s"
    }
}
