import ProtoShop

/// Rows of a file that are sent together.
struct ImportBatch: Sendable {
    /// A row that is no product, or that the server refused.
    struct Refusal: Sendable {
        /// Among the rows of the batch.
        let index: Int
        let place: ProductRow.Place
        let reason: String
        let text: [UInt8]
    }

    /// A row that is sent.
    private struct Sent: Sendable {
        let index: Int
        let place: ProductRow.Place
        let text: [UInt8]
    }

    /// What one request takes, and no more memory than several of them at once may take.
    private static let maxRows = 1000
    private static let maxBytes = 4 << 20

    private(set) var request = Catalog.ImportProductsRequest()
    /// Rows that are no products.
    private var unreadable: [Refusal] = []
    private var sent: [Sent] = []
    private var bytes = 0
    /// Where the next batch begins.
    private(set) var end: ImportMark

    init(from start: ImportMark) { end = start }

    var rowCount: Int { sent.count + unreadable.count }

    var isEmpty: Bool { rowCount == 0 }
    var isFull: Bool { rowCount >= Self.maxRows || bytes >= Self.maxBytes }
    var ids: some Sequence<String> { request.products.lazy.map(\.id) }

    /// Adds a row.
    ///
    /// - Parameter end: where the next one begins.
    mutating func append(_ row: ProductRow, stock: Int64?, end: ImportMark) {
        switch row.product {
        case .success(var product):
            if let stock { product.stock = stock }
            sent.append(Sent(index: rowCount, place: row.place, text: row.text))
            request.products.append(product)
        case .failure(let error):
            unreadable.append(Refusal(index: rowCount, place: row.place, reason: error.message, text: row.text))
        }
        bytes += row.text.count
        self.end = end
    }

    /// All rows that are not stored, by their places: each once, with all that is wrong with it.
    func refusals(_ response: Catalog.ImportProductsResponse) -> [Refusal] {
        var reasons: [Int: [String]] = [:]
        for failure in response.failures where sent.indices.contains(Int(failure.index)) {
            reasons[Int(failure.index), default: []].append("\(failure.field): \(failure.description)")
        }
        let refused = reasons.map { index, reasons in
            let row = sent[index]
            return Refusal(index: row.index, place: row.place, reason: reasons.joined(separator: "; "), text: row.text)
        }
        return (unreadable + refused).sorted { $0.index < $1.index }
    }
}
