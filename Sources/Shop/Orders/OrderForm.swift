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
        var merged: [OrderLine] = []
        merged.reserveCapacity(min(lines.count, Limits.maxLines))
        for (index, line) in lines.prefix(Limits.maxLines).enumerated() {
            violations.checkID(line.productId, "lines[\(index)].product_id")
            if line.quantity < 1 {
                violations.add("lines[\(index)].quantity", "must be at least 1")
                continue
            }
            // Most orders have few lines: looking through them costs less than hashing.
            let place = merged.firstIndex { $0.productID == line.productId }
            let before = place.map { merged[$0].quantity } ?? 0
            // 100 lines of an int32 cannot overflow the sum.
            let sum = before + Int64(line.quantity)
            if let place { merged[place].quantity = sum } else { merged.append(OrderLine(productID: line.productId, quantity: sum)) }
            if before <= Limits.maxQuantity && sum > Limits.maxQuantity {
                violations.add(
                    "lines[\(index)].quantity",
                    "must be at most \(Limits.maxQuantity), all lines of a product together; this one makes it \(sum)")
            }
        }
        // Of ASCII, so this is the order of the bytes.
        merged.sort { $0.productID < $1.productID }
        return merged
    }

    /// Equal for requests that mean the same order, whatever the order of their lines: what a repeated key is checked with.
    var fingerprint: [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(lines.count * 48 + 32)
        for line in lines {
            // Ids hold neither spaces nor line feeds, so nothing else is written like this.
            text += line.productID.utf8
            text.append(UInt8(ascii: " "))
            text += String(line.quantity).utf8
            text.append(UInt8(ascii: "\n"))
        }
        if let expectedTotal { text += "= \(expectedTotal.minor) \(expectedTotal.currency)\n".utf8 }
        return SHA256.hash(data: text).withUnsafeBytes { Array($0) }
    }
}
