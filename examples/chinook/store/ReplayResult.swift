import ProtoShop

/// What came of a replay.
struct ReplayResult {
    let expected: Int
    /// The orders that were accepted, as they ended.
    var orders: [Orders.Order] = []
    /// The completions that were received, by idempotency key.
    var completions: [String: Orders.Completion] = [:]

    private func count(_ state: Orders.OrderState) -> Int {
        orders.count { $0.state == state }
    }

    /// Of the fulfilled orders, in cents.
    private var revenue: Int64 {
        orders.reduce(0) { sum, order in
            guard order.state == .fulfilled, let total = order.total else { return sum }
            return sum + total.units * 100 + Int64(total.nanos / 10_000_000)
        }
    }

    /// Completions that tell what the order itself tells.
    private var notified: Int {
        orders.count { order in
            guard let completion = completions[order.idempotencyKey] else { return false }
            return completion.orderId == order.id && completion.state == order.state && completion.total == order.total
                && completion.sequence == order.sequence
        }
    }

    var isComplete: Bool {
        orders.count == expected && count(.fulfilled) == expected && notified == expected
    }

    var summary: String {
        let cents = String(revenue % 100 + 100).dropFirst()
        return "\(orders.count) accepted, \(count(.fulfilled)) fulfilled, \(count(.rejected)) rejected, \(notified) notified, "
            + "revenue \(revenue / 100).\(cents) USD"
    }
}
