import ProtoShop
import Protobuf

/// A product as ProtoJSON on each line, in the form that `products list -o jsonl` prints.
struct JSONLines: ProductRows {
    private let input: InputBuffer
    private var line = 1

    let heading: [UInt8] = []
    var mark: ImportMark { ImportMark(offset: input.offset, line: line) }
    var extent: Int? { input.identity?.size }

    init(_ input: InputBuffer, from mark: ImportMark?) throws(UsageError) {
        self.input = input
        if let mark {
            try input.seek(to: mark.offset)
            line = mark.line
        }
    }

    mutating func next() throws(UsageError) -> ProductRow? {
        while let next = try input.line() {
            guard case .whole(let count, let lineEnd) = next else { return .tooLong(.line(line)) }
            let text = input.withUnread { [UInt8]($0[..<(count - lineEnd)]) }
            input.take(count)
            line += 1
            if text.allSatisfy({ $0 <= UInt8(ascii: " ") && $0 != 0 }) { continue }
            return ProductRow(place: .line(line - 1), text: text, product: Self.product(text))
        }
        return nil
    }

    mutating func skipRow(_ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        try input.skipLine(body)
        line += 1
    }

    private static func product(_ text: [UInt8]) -> Result<Catalog.Product, UsageError> {
        guard let json = String(validating: text, as: UTF8.self) else { return .failure(UsageError("not UTF-8")) }
        do throws(JSONDecodingError) {
            return .success(try Catalog.Product(jsonString: json))
        } catch {
            return .failure(UsageError("\(error)"))
        }
    }
}
