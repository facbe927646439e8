import MongoDB
import ProtoShop
import RPC

/// The catalogue as callers see it.
struct CatalogService: Catalog.CatalogService.Handlers {
    let database: ShopDatabase
    let products: ProductStore
    let categories: CategoryStore
    let importing: ImportProducts
    let tokens: PageTokens

    init(database: ShopDatabase, tokens: PageTokens) {
        self.database = database
        self.tokens = tokens
        products = ProductStore(database: database.name)
        categories = CategoryStore(database: database.name)
        importing = ImportProducts(
            database: database, productImport: ProductImport(database: database.name, categories: categories))
    }

    /// Equal requests that wait together are answered by one query.
    var listProducts: Handler<Catalog.ListProductsRequest, Catalog.ListProductsResponse> {
        .coalesced(maxRequestBytes: Limits.maxListRequest) { (request, context) throws(RPCError) in
            try list(request, before: context.deadline)
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
        _ request: Catalog.ListProductsRequest, before deadline: Deadline
    ) throws(RPCError) -> Catalog.ListProductsResponse {
        let page = try PageRequest(request, tokens: tokens)
        let found = try database.perform(.read, before: deadline) { client throws(MongoError) in
            try find(page, client, before: deadline)
        }
        guard let found else {
            throw .invalidFields([
                .init(
                    field: "category",
                    description: "must match at most \(Limits.maxMatchingCategories) categories; give more of the name")
            ])
        }
        let next = found.hasMore ? found.records.last.map { $0.position(in: page.order) } : nil
        return Catalog.ListProductsResponse(
            products: found.records.map(\.product), totalSize: found.total,
            pageCount: PageWindow.pageCount(total: found.total, size: page.size),
            nextPageToken: next.map { tokens.seal($0, order: page.order, category: page.category) } ?? "")
    }

    private struct Found {
        var records: [ProductRecord] = []
        var total: Int64 = 0
        var hasMore = false
    }

    /// Nil where the filter matches too many categories.
    private func find(
        _ page: PageRequest, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Found? {
        var query = ProductStore.Query(categoryKeys: nil, order: page.order)
        var found = Found()
        if page.category.isEmpty {
            found.total = try categories.productCount(client, before: deadline)
        } else {
            let match = try categories.matching(page.category, client, before: deadline)
            guard match.keys.count <= Limits.maxMatchingCategories else { return nil }
            guard !match.keys.isEmpty else { return found }
            query.categoryKeys = match.keys
            found.total = match.productCount
        }
        switch page.start {
        case .number(let number):
            let window = PageWindow(number: number, size: page.size, total: found.total)
            found.records = try products.products(query, window: window, client, before: deadline)
            found.hasMore = window.hasMore
        case .after(let position):
            // One more than the page holds tells whether another follows.
            found.records = try products.products(query, after: position, count: Int(page.size) + 1, client, before: deadline)
            found.hasMore = found.records.count > Int(page.size)
            if found.hasMore { found.records.removeLast() }
        }
        return found
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
        guard let record else { throw RPCError(.notFound, reason: "PRODUCT_NOT_FOUND", "there is no product with this id") }
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
