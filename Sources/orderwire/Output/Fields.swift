import ProtoRuntime
import ProtoShop

/// What is printed about each kind of thing.
extension Field where Item == Catalog.Product {
    static var product: [Field] {
        [
            Field("ID", csv: "id") { $0.id },
            Field("NAME", csv: "name", isElastic: true) { $0.name },
            Field("CATEGORY", csv: "category", isElastic: true) { $0.category },
            Field("PRICE", csv: nil, isNumber: true) { $0.price?.text ?? "" },
            Field(nil, csv: "price") { $0.price?.decimal ?? "" },
            Field(nil, csv: "currency") { $0.price?.currencyCode ?? "" },
            Field("STOCK", csv: "stock", isNumber: true) { String($0.stock) },
        ]
    }

    /// What `products import` reads.
    static var importable: [Field] {
        product + [Field("DESCRIPTION", csv: "description") { $0.description }]
    }

    /// All there is to know about a product.
    static var productDetails: [Field] {
        importable + [
            Field("UPDATED", csv: "updateTime") { $0.updateTime?.text ?? "" },
            Field("VERSION", csv: "version") { String($0.version) },
        ]
    }
}

extension Field where Item == Catalog.AdjustStockResponse {
    static var stock: [Field] { [Field("STOCK", csv: "stock") { String($0.stock) }] }
}

extension Field where Item == Catalog.CatalogFinding {
    static var finding: [Field] {
        [
            Field("FAULT", csv: "fault") { $0.fault.text },
            Field("SUBJECT", csv: "subject", isElastic: true) { $0.subject },
            Field("STORED", csv: "stored", isElastic: true) { $0.stored },
            Field("EXPECTED", csv: "expected", isElastic: true) { $0.expected },
            Field("MENDED", csv: "repaired") { $0.repaired ? "yes" : "no" },
        ]
    }
}

extension Catalog.CatalogFault {
    /// For people, as in "WRONG_COUNT".
    var text: String {
        switch self {
        case .unspecified: ""
        case .wrongCount: "WRONG_COUNT"
        case .missingCategory: "MISSING_CATEGORY"
        case .emptyCategory: "EMPTY_CATEGORY"
        case .wrongKeys: "WRONG_KEYS"
        case .malformedProduct: "MALFORMED_PRODUCT"
        case .missingIndex: "MISSING_INDEX"
        case .differentIndex: "DIFFERENT_INDEX"
        case .unrecognized(let number): "FAULT_\(number)"
        }
    }
}

extension Field where Item == Orders.Order {
    static var order: [Field] {
        [
            Field("ORDER", csv: "id") { $0.id },
            Field("KEY", csv: "idempotencyKey") { $0.idempotencyKey },
            Field("STATE", csv: "state") { $0.state.text },
            Field("LINES", csv: "lines") { $0.linesText },
            Field("TOTAL", csv: nil) { $0.total?.text ?? "" },
            Field(nil, csv: "total") { $0.total?.decimal ?? "" },
            Field(nil, csv: "currency") { $0.total?.currencyCode ?? "" },
            Field("REASON", csv: "rejectReason") { $0.rejectReason.text },
            Field("DETAIL", csv: "rejectDetail") { $0.rejectDetail },
            Field("ACCEPTED", csv: "acceptTime") { $0.acceptTime?.text ?? "" },
            Field("FINAL", csv: "finalTime") { $0.finalTime?.text ?? "" },
            Field("SEQUENCE", csv: "sequence") { $0.sequence > 0 ? String($0.sequence) : "" },
        ]
    }
}

extension Field where Item == Orders.ParkedOrder {
    static var parkedOrder: [Field] {
        [
            Field("ORDER", csv: "id") { $0.order?.id ?? "" },
            Field("KEY", csv: "idempotencyKey") { $0.order?.idempotencyKey ?? "" },
            Field("LINES", csv: "lines") { $0.order?.linesText ?? "" },
            Field("REASON", csv: "reason", isElastic: true) { $0.reason },
            Field("ACCEPTED", csv: "acceptTime") { $0.order?.acceptTime?.text ?? "" },
            Field("PARKED", csv: "parkTime") { $0.parkTime?.text ?? "" },
        ]
    }
}

extension Orders.Order {
    /// As in "chinook-1=2 chinook-7=1".
    fileprivate var linesText: String { lines.map { "\($0.productId)=\($0.quantity)" }.joined(separator: " ") }
}

extension Field where Item == Orders.Completion {
    static var completion: [Field] {
        [
            Field("SEQUENCE", csv: "sequence") { String($0.sequence) },
            Field("ORDER", csv: "orderId") { $0.orderId },
            Field("CLIENT", csv: "submitter") { $0.submitter },
            Field("KEY", csv: "idempotencyKey") { $0.idempotencyKey },
            Field("STATE", csv: "state") { $0.state.text },
            Field("TOTAL", csv: nil) { $0.total?.text ?? "" },
            Field(nil, csv: "total") { $0.total?.decimal ?? "" },
            Field(nil, csv: "currency") { $0.total?.currencyCode ?? "" },
            Field("REASON", csv: "rejectReason") { $0.rejectReason.text },
            Field("DETAIL", csv: "rejectDetail") { $0.rejectDetail },
            Field("FINAL", csv: "finalTime") { $0.finalTime?.text ?? "" },
        ]
    }
}

extension Field where Item == Runtime.MethodInfo {
    static var method: [Field] {
        [
            Field("METHOD", csv: "method") { $0.method },
            Field(nil, csv: "id") { String($0.id) },
            Field("REPEATABLE", csv: "idempotency") { $0.idempotency.text },
            Field("DISPATCH", csv: "dispatch") { $0.dispatch.text },
            Field(nil, csv: "concurrency") { String($0.concurrency) },
            Field(nil, csv: "maxBatchCalls") { String($0.maxBatchCalls) },
            Field(nil, csv: "maxBatchBytes") { String($0.maxBatchBytes) },
            Field(nil, csv: "maxRequestBytes") { String($0.maxRequestBytes) },
            Field(nil, csv: "isHighPriority") { String($0.priority == .high) },
        ]
    }
}

extension Runtime.Idempotency {
    /// For people; empty where nothing is known.
    var text: String {
        switch self {
        case .unspecified: ""
        case .noSideEffects: "no side effects"
        case .idempotent: "idempotent"
        case .unrecognized(let number): "level \(number)"
        }
    }
}

extension Runtime.Dispatch {
    /// For people, as in "gathered".
    var text: String {
        switch self {
        case .unspecified: ""
        case .unary: "unary"
        case .parked: "parked"
        case .gathered: "gathered"
        case .coalesced: "coalesced"
        case .unrecognized(let number): "kind \(number)"
        }
    }
}

extension Orders.OrderState {
    /// For people, as in "FULFILLED".
    var text: String {
        switch self {
        case .unspecified: ""
        case .accepted: "ACCEPTED"
        case .fulfilled: "FULFILLED"
        case .rejected: "REJECTED"
        case .cancelled: "CANCELLED"
        case .unrecognized(let number): "STATE_\(number)"
        }
    }

    /// Whether nothing can change any more.
    var isFinal: Bool { [.fulfilled, .rejected, .cancelled].contains(self) }
}

extension Orders.RejectReason {
    /// For people, as in "OUT_OF_STOCK"; empty where nothing was rejected.
    var text: String {
        switch self {
        case .unspecified: ""
        case .unknownProduct: "UNKNOWN_PRODUCT"
        case .outOfStock: "OUT_OF_STOCK"
        case .mixedCurrencies: "MIXED_CURRENCIES"
        case .totalMismatch: "TOTAL_MISMATCH"
        case .totalOverflow: "TOTAL_OVERFLOW"
        case .unrecognized(let number): "REASON_\(number)"
        }
    }
}
