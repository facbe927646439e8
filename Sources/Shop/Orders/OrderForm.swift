import Crypto
import ProtoShop
import RPC

/// So many pieces of a product.
struct OrderLine: Hashable, Sendable {
    var productID: String
    var quantity: Int64
}

/// A request to submit an order that has the right form: lines of one product added up, sorted by product.
struct OrderForm: Hashable, Sendable {
    var key: String
    var lines: [OrderLine]
    var expectedTotal: MinorAmount?

    /// Checks `request`, and throws all that is wrong with it at once.
    init(_ request: Orders.SubmitOrderRequest) throws(RPCError) {
        var violations = Violations()
        violations.checkID(request.idempotencyKey, "idempotency_key")
        key = request.idempotencyKey
        lines = Self.merge(request.lines, &violations)
        if let expected = request.expectedTotal {
            expectedTotal = MinorAmount(expected, field: "expected_total", &violations)
        }
        try violations.check()
    }

    private static func merge(_ lines: [Orders.OrderLine], _ violations: inout Violations) -> [OrderLine] {
        if lines.isEmpty || lines.count > Limits.maxLines {
            violations.add("lines", "must be 1 to \(Limits.maxLines) lines; there are \(lines.count)")
        }
        var quantities: [String: Int64] = [:]
        for (index, line) in lines.prefix(Limits.maxLines).enumerated() {
            violations.checkID(line.productId, "lines[\(index)].product_id")
            if line.quantity < 1 {
                violations.add("lines[\(index)].quantity", "must be at least 1")
                continue
            }
            // 100 lines of an int32 cannot overflow the sum.
            let before = quantities[line.productId, default: 0]
            let sum = before + Int64(line.quantity)
            quantities[line.productId] = sum
            if before <= Limits.maxQuantity && sum > Limits.maxQuantity {
                violations.add(
                    "lines[\(index)].quantity",
                    "must be at most \(Limits.maxQuantity), all lines of a product together; this one makes it \(sum)")
            }
        }
        return quantities.map { OrderLine(productID: $0.key, quantity: $0.value) }
            .sorted { $0.productID.utf8.lexicographicallyPrecedes($1.productID.utf8) }
    }

    /// Equal for requests that mean the same order, whatever the order of their lines: what a repeated key is checked with.
    var fingerprint: [UInt8] {
        var hash = SHA256()
        for line in lines {
            // Ids hold neither spaces nor line feeds, so nothing else is written like this.
            hash.update(data: Array("\(line.productID) \(line.quantity)\n".utf8))
        }
        if let expectedTotal { hash.update(data: Array("= \(expectedTotal.minor) \(expectedTotal.currency)\n".utf8)) }
        return Array(hash.finalize())
    }
}
