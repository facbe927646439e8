/// Reads RFC 4180: quoted fields may hold commas, quotes (doubled) and line ends.
struct CSVReader: Sequence, IteratorProtocol {
    struct Record: Equatable {
        /// Where it starts, from 1.
        let line: Int
        let fields: [String]
    }

    private var rest: ArraySlice<UInt8>
    private var line = 1

    init(_ bytes: [UInt8]) {
        // A byte order mark, as spreadsheets write it.
        rest = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    }

    /// The next record that is not an empty line.
    mutating func next() -> Record? {
        while !rest.isEmpty {
            let start = line
            let fields = record()
            if fields != [""] { return Record(line: start, fields: fields) }
        }
        return nil
    }

    private mutating func record() -> [String] {
        var fields: [String] = []
        while true {
            fields.append(field())
            switch rest.popFirst() {
            case UInt8(ascii: ","): continue
            case UInt8(ascii: "\r"):
                if rest.first == UInt8(ascii: "\n") { rest.removeFirst() }
                line += 1
                return fields
            case UInt8(ascii: "\n"):
                line += 1
                return fields
            default: return fields
            }
        }
    }

    /// Reads up to the comma or line end, and leaves that.
    private mutating func field() -> String {
        var bytes: [UInt8] = []
        if rest.first == UInt8(ascii: "\"") {
            rest.removeFirst()
            while let byte = rest.popFirst() {
                if byte == UInt8(ascii: "\"") {
                    guard rest.first == UInt8(ascii: "\"") else { break }
                    rest.removeFirst()
                }
                if byte == UInt8(ascii: "\n") { line += 1 }
                bytes.append(byte)
            }
        }
        while let byte = rest.first, byte != UInt8(ascii: ","), byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\r") {
            bytes.append(byte)
            rest.removeFirst()
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
