import ProtoShop
import RPC

/// Pieces that come or go, of the right form.
struct StockAdjustment: Sendable, Equatable {
    var productID: String
    /// Pieces to add, or below 0 to take out.
    var delta: Int64
    /// What its client calls it.
    var requestID: String

    /// Checks `request`, and throws all that is wrong with it at once.
    init(_ request: Catalog.AdjustStockRequest) throws(RPCError) {
        var violations = Violations()
        violations.checkID(request.id, "id")
        if request.delta == 0 || !(-Limits.maxStock...Limits.maxStock).contains(request.delta) {
            violations.add("delta", "must be -\(Limits.maxStock) to \(Limits.maxStock), and not 0")
        }
        violations.checkID(request.requestId, "request_id")
        try violations.check()
        productID = request.id
        delta = request.delta
        requestID = request.requestId
    }
}
