import ProtoShop

/// A row of a file: a product, or why it is none.
struct ProductRow {
    /// Where it stands.
    enum Place: Equatable, CustomStringConvertible {
        /// From 1.
        case line(Int)
        /// In Chinook's fixture, which has no lines.
        case track(Int)

        var description: String {
            switch self {
            case .line(let number): "line \(number)"
            case .track(let number): "track \(number)"
            }
        }
    }

    let place: Place
    /// As it stands in the file, without its line end. Of a row that is too long, nothing: its text is still to be skipped.
    let text: [UInt8]
    let product: Result<Catalog.Product, UsageError>
    var isTooLong = false

    static func tooLong(_ place: Place) -> ProductRow {
        ProductRow(
            place: place, text: [], product: .failure(UsageError("longer than \(InputBuffer.maxRowBytes >> 20) MiB")), isTooLong: true)
    }
}

/// The rows of a file, one after another.
protocol ProductRows {
    /// What has to stand before rejected rows, for the file of them to be readable again.
    var heading: [UInt8] { get }
    /// Where the next row begins: the place to go on at.
    var mark: ImportMark { get }
    /// The mark's offset at the end; nil where it is not known before.
    var extent: Int? { get }
    /// The next row; nil at the end.
    mutating func next() throws(UsageError) -> ProductRow?
    /// To be called after a row that is too long: takes its text, and hands it on in pieces.
    mutating func skipRow(_ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws
}

/// A place between two rows of a file.
struct ImportMark: Codable, Equatable {
    /// Bytes before it; for Chinook's fixture, products before it.
    var offset: Int
    /// Line on which the next row begins, from 1.
    var line: Int
}
