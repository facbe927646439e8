import MongoDB
import ProtoShop

/// One row of a settlement: how an order ended. Ledger entry, completion and result of the order at once.
struct CompletionRecord: Sendable, Equatable {
    /// Its number among all completions, without gaps.
    var sequence: Int64
    var orderID: String
    /// Who submitted the order.
    var identity: String
    var key: String
    var verdict: Verdict
    /// W3C trace context of the call that submitted the order.
    var traceparent: String?
    /// When it was decided: the whole settlement's time.
    var finalAt: BSONDate

    var state: Orders.OrderState {
        switch verdict {
        case .fulfilled: .fulfilled
        case .rejected: .rejected
        case .cancelled: .cancelled
        }
    }
}

// MARK: - As a row

extension CompletionRecord {
    init(_ row: DocumentView, finalAt: BSONDate) throws(MongoError) {
        sequence = try row.int64("sequence")
        orderID = try row.string("order")
        identity = try row.string("identity")
        key = try row.string("key")
        if let total = row.find("total")?.document {
            verdict = .fulfilled(total: try MinorAmount(total), unitPrices: try row.array("prices").int64s())
        } else if row.find("reason") != nil {
            verdict = .rejected(Orders.RejectReason(rawValue: try row.int32("reason")), detail: try row.string("detail"))
        } else {
            verdict = .cancelled
        }
        traceparent = row.find("traceparent")?.string
        self.finalAt = finalAt
    }

    func write(to row: inout DocumentBuilder) {
        row.append("sequence", sequence)
        row.append("order", orderID)
        row.append("identity", identity)
        row.append("key", key)
        switch verdict {
        case .fulfilled(let total, let unitPrices):
            row.document("total") { total.write(to: &$0) }
            row.append("prices", unitPrices)
        case .rejected(let reason, let detail):
            row.append("reason", reason.rawValue)
            row.append("detail", detail)
        case .cancelled:
            break
        }
        if let traceparent { row.append("traceparent", traceparent) }
    }
}

// MARK: - On the wire

extension CompletionRecord {
    var completion: Orders.Completion {
        var completion = Orders.Completion(
            sequence: sequence, orderId: orderID, idempotencyKey: key, state: state, finalTime: finalAt.timestamp,
            submitter: identity)
        switch verdict {
        case .fulfilled(let total, _):
            completion.total = total.money
        case .rejected(let reason, let detail):
            completion.rejectReason = reason
            completion.rejectDetail = detail
        case .cancelled:
            break
        }
        return completion
    }
}
