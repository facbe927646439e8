import MongoDB
import ProtoShop
import RPC

/// The catalogue as callers see it.
struct CatalogService: Catalog.CatalogService.Handlers {
    let database: ShopDatabase
    let products: ProductStore
    let listing: ProductListing
    let importing: ImportProducts
    let changes: ProductChanges
    let stockAdjustments: StockAdjustmentStore
    let tokens: PageTokens
    let checker: CatalogChecker

    init(database: ShopDatabase, tokens: PageTokens, checker: CatalogChecker) {
        self.database = database
        self.tokens = tokens
        self.checker = checker
        products = ProductStore(database: database.name)
        let categories = CategoryStore(database: database.name)
        listing = ProductListing(products: products, snapshots: CatalogSnapshots(categories: categories))
        importing = ImportProducts(
            database: database, productImport: ProductImport(database: database.name, categories: categories))
        changes = ProductChanges(database: database.name, categories: categories)
        stockAdjustments = StockAdjustmentStore(database: database.name)
    }

    /// Equal requests that wait together are answered by one query.
    var listProducts: Handler<Catalog.ListProductsRequest, Catalog.ListProductsResponse> {
        .coalesced(maxRequestBytes: Limits.maxListRequest) { (request, context) throws(RPCError) in
            try list(request, since: context.arrival, before: context.deadline)
        }
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
    private func list(
        _ request: Catalog.ListProductsRequest, since arrival: MonotonicTime, before deadline: Deadline
    ) throws(RPCError) -> Catalog.ListProductsResponse {
        let request = try PageRequest(request, tokens: tokens)
        let page = try database.perform(.read, before: deadline) { client throws(MongoError) in
            try listing.page(request, since: arrival, client, before: deadline)
        }
        guard let page else {
            throw .invalidFields([
                .init(
                    field: "category",
                    description: "must match at most \(Limits.maxMatchingCategories) categories; give more of the name")
            ])
        }
        return Catalog.ListProductsResponse(
            products: page.records.map(\.product), totalSize: page.total ?? 0,
            pageCount: PageCount.of(page.total ?? 0, size: request.size),
            nextPageToken: page.next.map { tokens.seal($0, list: request.list) } ?? "", totalMode: page.total == nil ? .none : .exact)
    }

    private func product(
        _ request: Catalog.GetProductRequest, before deadline: Deadline
    ) throws(RPCError) -> Catalog.GetProductResponse {
        var violations = Violations()
        violations.checkID(request.id, "id")
        try violations.check()
        let record = try database.perform(.read, before: deadline) { client throws(MongoError) in
            try products.product(request.id, client, before: deadline)
        }
        guard let record else { throw Self.productNotFound }
        return Catalog.GetProductResponse(product: record.product)
    }

    private func products(
        _ request: Catalog.BatchGetProductsRequest, before deadline: Deadline
    ) throws(RPCError) -> Catalog.BatchGetProductsResponse {
        var violations = Violations()
        if request.ids.isEmpty || request.ids.count > Limits.maxBatchGet {
            violations.add("ids", "must be 1 to \(Limits.maxBatchGet) ids; there are \(request.ids.count)")
        } else {
            for (index, id) in request.ids.enumerated() { violations.checkID(id, "ids[\(index)]") }
        }
        try violations.check()

        var seen: Set<String> = []
        let ids = request.ids.filter { seen.insert($0).inserted }
        let records = try database.perform(.read, before: deadline) { client throws(MongoError) in
            try products.products(ids, client, before: deadline)
        }
        var response = Catalog.BatchGetProductsResponse()
        for id in ids {
            if let record = records[id] { response.products.append(record.product) } else { response.missingIds.append(id) }
        }
        return response
    }
}
