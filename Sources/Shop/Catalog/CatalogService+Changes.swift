import MongoDB
import ProtoShop
import RPC

/// What changes single products.
extension CatalogService {
    /// One at a time: each changes what the others would change too, the catalogue's version.
    var updateProduct: Handler<Catalog.UpdateProductRequest, Catalog.UpdateProductResponse> {
        .unary(concurrency: 1, maxRequestBytes: Limits.maxProductRequest) { (request, context) throws(RPCError) in
            let update = try ProductUpdate(request)
            let deadline = context.deadline
            let outcome = try database.perform(.write, before: deadline) { client throws(MongoError) in
                try changes.update(update, client, before: deadline)
            }
            return Catalog.UpdateProductResponse(product: try Self.record(outcome).product)
        }
    }

    /// Two at a time: enough to share the database's journal writes, too few to keep settlements from products that all want.
    var adjustStock: Handler<Catalog.AdjustStockRequest, Catalog.AdjustStockResponse> {
        .unary(concurrency: 2, maxRequestBytes: Limits.maxSmallRequest) { (request, context) throws(RPCError) in
            let adjustment = try StockAdjustment(request)
            let (identity, deadline) = (context.identity.name, context.deadline)
            let outcome = try database.perform(.write, before: deadline) { client throws(MongoError) in
                try stockAdjustments.adjust(adjustment, by: identity, client, before: deadline)
            }
            switch outcome {
            case .adjusted(let stock, let replayed): return Catalog.AdjustStockResponse(stock: stock, replayed: replayed)
            case .notFound: throw Self.productNotFound
            case .requestIDReused:
                throw RPCError(
                    .alreadyExists, reason: "REQUEST_ID_REUSED",
                    "this request id was used for another adjustment; use a new one for a new adjustment")
            case .outOfRange(let stock):
                throw RPCError(
                    .failedPrecondition, reason: "STOCK_OUT_OF_RANGE",
                    "stock is \(stock), and must stay within 0 to \(Limits.maxStock)", metadata: ["stock": "\(stock)"])
            }
        }
    }

    /// One at a time, as updates are.
    var deleteProduct: Handler<Catalog.DeleteProductRequest, Catalog.DeleteProductResponse> {
        .unary(concurrency: 1, maxRequestBytes: Limits.maxSmallRequest) { (request, context) throws(RPCError) in
            var violations = Violations()
            violations.checkID(request.id, "id")
            if request.expectedVersion < 0 { violations.add("expected_version", "must be at least 1, or 0 for any") }
            try violations.check()
            let deadline = context.deadline
            let expected = request.expectedVersion == 0 ? nil : request.expectedVersion
            let outcome = try database.perform(.write, before: deadline) { client throws(MongoError) in
                try changes.delete(request.id, expectedVersion: expected, client, before: deadline)
            }
            return Catalog.DeleteProductResponse(product: try Self.record(outcome).product)
        }
    }

    private static func record(_ outcome: ProductChanges.Outcome) throws(RPCError) -> ProductRecord {
        switch outcome {
        case .done(let record): return record
        case .notFound: throw productNotFound
        case .versionMismatch(let current):
            throw RPCError(
                .aborted, reason: "VERSION_MISMATCH", "the product was changed meanwhile: its version is \(current) now; read it again",
                metadata: ["version": "\(current)"])
        }
    }

    static let productNotFound = RPCError(.notFound, reason: "PRODUCT_NOT_FOUND", "there is no product with this id")
}

// MARK: - Checks

extension CatalogService {
    /// Takes long, so it holds no worker.
    var checkCatalog: Handler<Catalog.CheckCatalogRequest, Catalog.CheckCatalogResponse> {
        .parked(maxRequestBytes: Limits.maxSmallRequest) { call in checker.add(call) }
    }
}
