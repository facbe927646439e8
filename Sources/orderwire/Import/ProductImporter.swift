import ProtoShop
import RPC

/// Carries a file to the server: reads rows, sends them in batches of which several are under way, and accounts for them in the
/// order of the file.
///
/// The order of the file counts where an id occurs twice, as the later row replaces the earlier: a row whose id is under way is
/// not sent before that has arrived.
struct ProductImporter {
    /// Sends one batch, until it has arrived.
    typealias Send = @Sendable (Catalog.ImportProductsRequest) async throws(RPCError) -> Catalog.ImportProductsResponse

    /// Batches that are under way at once: enough for a server to store some, prepare others and have more waiting, so that it always
    /// finds as many as it takes at once.
    private static let window = 12

    /// Rows from which on the server is told how many come: what is stored without indexes at first.
    private static let minAnnounced: Int64 = 100_000

    private struct UnderWay {
        let batch: ImportBatch
        let answer: Task<Result<Catalog.ImportProductsResponse, RPCError>, Never>
    }

    private var file: ProductFile
    private let stock: Int64?
    private let send: Send
    private let record: ImportRecord
    /// Where the import begins in the file.
    private let start: Int
    private var dispatchedRows = 0
    /// Whether the server was told that the import is large.
    private(set) var hasAnnounced = false
    private var underWay: [UnderWay] = []
    /// Ids under way, and in how many batches.
    private var busyIDs: [String: Int] = [:]

    init(_ file: ProductFile, stock: Int64?, record: ImportRecord, send: @escaping Send) {
        self.file = file
        start = file.rows.mark.offset
        self.stock = stock
        self.record = record
        self.send = send
    }

    /// Imports what is left of the file. Throws where that cannot go on; what has been accounted for by then is in the record.
    mutating func run() async throws {
        do {
            var batch = ImportBatch(from: file.rows.mark)
            while let row = try file.rows.next() {
                try await append(row, &batch)
            }
            try await dispatch(&batch)
            while !underWay.isEmpty { try await account() }
        } catch {
            for sent in underWay { sent.answer.cancel() }
            throw error
        }
    }

    private mutating func append(_ row: ProductRow, _ batch: inout ImportBatch) async throws {
        if case .success(let product) = row.product, busyIDs[product.id] != nil {
            try await dispatch(&batch)
            while busyIDs[product.id] != nil { try await account() }
        }
        if row.isTooLong {
            // Its text goes straight from the file to the rejected rows, behind those of all rows before it.
            try await dispatch(&batch)
            while !underWay.isEmpty { try await account() }
            try file.rows.skipRow { [record] in try record.keep($0) }
        }
        batch.append(row, stock: stock, end: file.rows.mark)
        if batch.isFull || row.isTooLong { try await dispatch(&batch) }
    }

    /// Sends the batch, and begins a new one.
    private mutating func dispatch(_ batch: inout ImportBatch) async throws {
        if batch.isEmpty { return }
        while underWay.count >= Self.window { try await account() }
        var request = batch.request
        dispatchedRows += batch.rowCount
        if let expected = expectedRows(before: batch.end), expected >= Self.minAnnounced {
            request.expectedProducts = expected
            hasAnnounced = true
        }
        for id in batch.ids { busyIDs[id, default: 0] += 1 }
        let answer = Task { [send, request] () -> Result<Catalog.ImportProductsResponse, RPCError> in
            if request.products.isEmpty { return .success(.init()) }
            do throws(RPCError) {
                return .success(try await send(request))
            } catch {
                return .failure(error)
            }
        }
        underWay.append(UnderWay(batch: batch, answer: answer))
        batch = ImportBatch(from: file.rows.mark)
    }

    /// How many rows the file has from the import's beginning on, if the others are as long as those before `mark`.
    private func expectedRows(before mark: ImportMark) -> Int64? {
        guard let extent = file.rows.extent, mark.offset > start else { return nil }
        return Int64(Double(extent - start) / Double(mark.offset - start) * Double(dispatchedRows))
    }

    /// Waits for the first batch that is under way, and accounts for its rows.
    private mutating func account() async throws {
        let (batch, answer) = (underWay[0].batch, underWay[0].answer)
        let response = try await answer.value.get()
        underWay.removeFirst()
        for id in batch.ids {
            let count = busyIDs[id, default: 1] - 1
            busyIDs[id] = count == 0 ? nil : count
        }
        try record.note(batch, response)
    }
}
