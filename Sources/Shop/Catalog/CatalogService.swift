import MongoDB
import ProtoShop
import Protobuf
import RPC

/// The catalogue as callers see it.
struct CatalogService: Catalog.CatalogService.Handlers {
    let database: ShopDatabase
    let products: ProductStore
    let snapshots: CatalogSnapshots
    let listing: ProductListing
    let answers = PageMemory()
    let importing: ImportProducts
    let changes: ProductChanges
    let stockAdjustments: StockAdjustmentStore
    let tokens: TokenSeal
    let checker: CatalogChecker

    init(database: ShopDatabase, tokens: TokenSeal, checker: CatalogChecker, bulkLoad: BulkLoad) {
        self.database = database
        self.tokens = tokens
        self.checker = checker
        products = ProductStore(database: database.name)
        let categories = CategoryStore(database: database.name)
        snapshots = CatalogSnapshots(categories: categories)
        listing = ProductListing(products: products, categories: categories)
        importing = ImportProducts(
            database: database, productImport: ProductImport(database: database.name, categories: categories), bulkLoad: bulkLoad)
        changes = ProductChanges(database: database.name, categories: categories)
        stockAdjustments = StockAdjustmentStore(database: database.name)
    }

    /// Equal requests that wait together are answered by one query, and different ones by one command where that can be.
    var listProducts: Handler<Catalog.ListProductsRequest, Catalog.ListProductsResponse> {
        .coalesced(maxRequests: Limits.maxPagesTogether, maxRequestBytes: Limits.maxListRequest) { calls in list(calls) }
    }

    var getProduct: Handler<Catalog.GetProductRequest, Catalog.GetProductResponse> {
        .unary(maxRequestBytes: Limits.maxSmallRequest) { (request, context) throws(RPCError) in
            try product(request, before: context.deadline)
        }
    }

    var batchGetProducts: Handler<Catalog.BatchGetProductsRequest, Catalog.BatchGetProductsResponse> {
        .unary(maxRequestBytes: Limits.maxBatchGetRequest) { (request, context) throws(RPCError) in
            try products(request, before: context.deadline)
        }
    }

    /// Two batches at once: one is decoded and prepared while the other waits for the database.
    var importProducts: Handler<Catalog.ImportProductsRequest, Catalog.ImportProductsResponse> {
        .gathered(concurrency: 2, maxCalls: Limits.maxGatheredImports, maxBytes: Limits.maxGatheredImportBytes) { calls in
            importing(calls)
        }
    }
}

// MARK: - What the methods do

extension CatalogService {
    private typealias ListCall = (call: ServerCall<Catalog.ListProductsRequest, Catalog.ListProductsResponse>, request: PageRequest)

    private func list(_ calls: [ServerCall<Catalog.ListProductsRequest, Catalog.ListProductsResponse>]) {
        var together: [QueryShape: [ListCall]] = [:]
        var alone: [ListCall] = []
        for call in calls {
            do throws(RPCError) {
                let request = try PageRequest(call.request, tokens: tokens)
                if request.isReadTogether {
                    together[request.list.shape, default: []].append((call, request))
                } else {
                    alone.append((call, request))
                }
            } catch {
                call.fail(error)
            }
        }
        for calls in together.values { answer(calls) }
        // Nobody waits for one that is much dearer.
        for call in alone.sorted(by: { $0.request.reach < $1.request.reach }) { answer([call]) }
    }

    private func answer(_ calls: [ListCall]) {
        var (arrival, deadline) = (calls[0].call.context.arrival, calls[0].call.context.deadline)
        for (call, _) in calls.dropFirst() {
            arrival = max(arrival, call.context.arrival)
            // A call that has less time is answered when it is over, whatever happens here.
            if call.context.deadline.time > deadline.time { deadline = call.context.deadline }
        }
        do throws(RPCError) {
            let pages = try database.perform(.read, before: deadline) { (client) throws(MongoError) -> [PageMemory.Answer?] in
                try self.pages(calls.map(\.request), since: arrival, client, before: deadline)
            }
            for (asked, page) in zip(calls, pages) {
                if let page { asked.call.reply(page) } else { asked.call.fail(Self.tooManyCategories) }
            }
        } catch {
            // A product that cannot be read is the matter of its own page.
            if calls.count > 1, error.code == .internalError {
                for call in calls { answer([call]) }
            } else {
                for (call, _) in calls { call.fail(error) }
            }
        }
    }

    private static let tooManyCategories = RPCError.invalidFields([
        .init(
            field: "category", description: "must match at most \(Limits.maxMatchingCategories) categories; give more of the name")
    ])

    private func pages(
        _ requests: [PageRequest], since arrival: MonotonicTime, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [PageMemory.Answer?] {
        let guessed = try guessedPages(requests, since: arrival, client, before: deadline)
        if let guessed, guessed.isCertain { return try encoded(guessed.pages, of: requests) }
        let reading = try snapshots.reading(since: arrival, client, before: deadline)
        if let guessed, guessed.stamp == reading.snapshot.stamp { return try encoded(guessed.pages, of: requests) }
        var known = requests.map { answers.answer(to: $0, at: reading.quietTime) }
        let missing = known.indices.filter { known[$0] == nil }
        guard !missing.isEmpty else { return known }
        let missed = missing.map { requests[$0] }
        let read = try encoded(listing.pages(missed, reading.snapshot, client, before: deadline), of: missed)
        for (index, answer) in zip(missing, read) {
            known[index] = answer
            // A lone call teaches nothing: nobody else was waiting.
            guard let answer, reading.isShared || requests.count > 1 else { continue }
            answers.remember(answer, to: requests[index], at: reading.quietTime)
        }
        return known
    }

    /// Pages that were read without a look at the stamp.
    private struct GuessedPages {
        var pages: [ProductListing.Page?]
        /// The catalogue's stamp when it was last looked at. The pages are right if it is still the same.
        var stamp: CatalogStamp
        /// Whether nothing at all was written since then.
        var isCertain: Bool
    }

    /// Reads the pages as if nothing had been written since the stamp was last looked at, which their reply confirms or does not: one
    /// command instead of two. Nil where a look at the stamp is all that is needed, or is needed anyway.
    private func guessedPages(
        _ requests: [PageRequest], since arrival: MonotonicTime, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> GuessedPages? {
        guard let guess = snapshots.guess(since: arrival),
            requests.allSatisfy({ answers.answer(to: $0, at: guess.quietTime) == nil })
        else { return nil }
        let begun = MonotonicTime.now
        let pages = try listing.pages(requests, guess.snapshot, client, before: deadline)
        guard !pages.contains(where: { $0 == nil }), let rows = pages.lazy.compactMap({ $0?.products }).first else { return nil }
        // All rows came in one reply.
        let isCertain = rows.clusterTime == guess.quietTime
        if isCertain { snapshots.confirm(guess, since: begun) }
        return GuessedPages(pages: pages, stamp: guess.snapshot.stamp, isCertain: isCertain)
    }

    private func encoded(_ pages: [ProductListing.Page?], of requests: [PageRequest]) throws(MongoError) -> [PageMemory.Answer?] {
        try zip(pages, requests).map { (page, request) throws(MongoError) in
            if let page { try encoded(page, of: request) } else { nil }
        }
    }

    private func encoded(
        _ page: ProductListing.Page, of request: PageRequest
    ) throws(MongoError) -> EncodedMessage<Catalog.ListProductsResponse> {
        let next = page.next.map { tokens.seal($0, in: request.list) } ?? ""
        let bytes = (page.products?.count ?? 0) * ProductRow.typicalBytes + next.utf8.count
        return try EncodedMessage(reserving: bytes) { (response) throws(MongoError) in
            for index in 0..<(page.products?.count ?? 0) {
                try response.append(.products) { (product) throws(MongoError) in
                    if let products = page.products { try ProductRow.write(products[index], to: &product) }
                }
            }
            response.append(.totalSize, page.total ?? 0)
            response.append(.pageCount, PageCount.of(page.total ?? 0, size: request.size))
            response.append(.nextPageToken, next)
            response.append(.totalMode, page.total == nil ? .none : .exact)
        }
    }

    private func product(
        _ request: Catalog.GetProductRequest, before deadline: Deadline
    ) throws(RPCError) -> EncodedMessage<Catalog.GetProductResponse> {
        var violations = Violations()
        violations.checkID(request.id, "id")
        try violations.check()
        let found = try database.perform(.read, before: deadline) { client throws(MongoError) in
            let row = try products.product(request.id, client, before: deadline)
            guard row.count > 0 else { return EncodedMessage<Catalog.GetProductResponse>?.none }
            return try EncodedMessage(reserving: ProductRow.typicalBytes) { (response) throws(MongoError) in
                try response.append(.product) { (product) throws(MongoError) in try ProductRow.write(row[0], to: &product) }
            }
        }
        guard let found else { throw Self.productNotFound }
        return found
    }

    private func products(
        _ request: Catalog.BatchGetProductsRequest, before deadline: Deadline
    ) throws(RPCError) -> EncodedMessage<Catalog.BatchGetProductsResponse> {
        var violations = Violations()
        if request.ids.isEmpty || request.ids.count > Limits.maxBatchGet {
            violations.add("ids", "must be 1 to \(Limits.maxBatchGet) ids; there are \(request.ids.count)")
        } else {
            for (index, id) in request.ids.enumerated() { violations.checkID(id, "ids[\(index)]") }
        }
        try violations.check()

        var seen: Set<String> = []
        let ids = request.ids.filter { seen.insert($0).inserted }
        return try database.perform(.read, before: deadline) { client throws(MongoError) in
            let rows = try products.products(ids, client, before: deadline)
            var indexes: [String: Int] = [:]
            for index in 0..<rows.count { indexes[try rows[index].string("_id")] = index }
            return try EncodedMessage(reserving: rows.count * ProductRow.typicalBytes) { (response) throws(MongoError) in
                for index in ids.lazy.compactMap({ indexes[$0] }) {
                    try response.append(.products) { (product) throws(MongoError) in try ProductRow.write(rows[index], to: &product) }
                }
                for id in ids where indexes[id] == nil { response.append(.missingIds, id) }
            }
        }
    }
}
