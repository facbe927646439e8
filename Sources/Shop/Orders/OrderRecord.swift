import MongoDB
import ProtoShop

/// An order as it is stored. Its result is not in it but in the settlement that decided it, so that a settlement changes all
/// its orders by one statement.
struct OrderRecord: Sendable, Equatable {
    var id: String
    /// Who submitted it.
    var identity: String
    var key: String
    var fingerprint: [UInt8]
    /// Added up, sorted by product.
    var lines: [OrderLine]
    var expectedTotal: MinorAmount?
    var acceptedAt: BSONDate
    /// W3C trace context of the call that submitted it.
    var traceparent: String?
    var state: Orders.OrderState
    /// Its client has asked for it to be cancelled.
    var isCancelled = false
    /// The settlement that decided it: its last sequence number.
    var settlement: Int64?

    init(_ form: OrderForm, identity: String, traceparent: String?, acceptedAt: BSONDate) {
        id = OrderID.make(identity: identity, key: form.key)
        self.identity = identity
        key = form.key
        fingerprint = form.fingerprint
        lines = form.lines
        expectedTotal = form.expectedTotal
        self.acceptedAt = acceptedAt
        self.traceparent = traceparent
        state = .accepted
    }

    var open: OpenOrder { OpenOrder(id: id, lines: lines, expectedTotal: expectedTotal, isCancelled: isCancelled) }
}

// MARK: - As a document

extension OrderRecord {
    init(_ row: DocumentView) throws(MongoError) {
        id = try row.string("_id")
        identity = try row.string("identity")
        key = try row.string("key")
        fingerprint = try row.binary("fingerprint")
        var lines: [OrderLine] = []
        try row.array("lines").forEachDocument { line throws(MongoError) in
            lines.append(OrderLine(productID: try line.string("product"), quantity: try line.int64("quantity")))
        }
        self.lines = lines
        if let expected = row.find("expected")?.document { expectedTotal = try MinorAmount(expected) }
        acceptedAt = try row.date("accepted")
        traceparent = row.find("traceparent")?.string
        state = Orders.OrderState(rawValue: try row.int32("state"))
        isCancelled = row.find("cancel") != nil
        settlement = row.find("settlement")?.int64
    }

    /// The document of a new order: it waits in the queue.
    var document: Document {
        Document(reserving: 512 + lines.count * 96) { document in
            document.append("_id", id)
            document.append("identity", identity)
            document.append("key", key)
            document.append("fingerprint", fingerprint)
            document.array("lines") { array in
                for line in lines {
                    array.document {
                        $0.append("product", line.productID)
                        $0.append("quantity", line.quantity)
                    }
                }
            }
            if let expectedTotal { document.document("expected") { expectedTotal.write(to: &$0) } }
            document.append("accepted", acceptedAt)
            if let traceparent { document.append("traceparent", traceparent) }
            document.append("state", state.rawValue)
            document.append("queued", true)
        }
    }
}

// MARK: - On the wire

extension OrderRecord {
    /// The order with its result, where it has one.
    func order(_ result: CompletionRecord?) -> Orders.Order {
        var order = Orders.Order(
            id: id, idempotencyKey: key, state: result?.state ?? state,
            lines: lines.map { Orders.OrderLine(productId: $0.productID, quantity: Int32(clamping: $0.quantity)) },
            acceptTime: acceptedAt.timestamp)
        guard let result else { return order }
        order.sequence = result.sequence
        order.finalTime = result.finalAt.timestamp
        switch result.verdict {
        case .fulfilled(let total, let unitPrices):
            order.total = total.money
            for (index, price) in zip(order.lines.indices, unitPrices) {
                order.lines[index].unitPrice = MinorAmount(currency: total.currency, minor: price).money
            }
        case .rejected(let reason, let detail):
            order.rejectReason = reason
            order.rejectDetail = detail
        case .cancelled:
            break
        }
        return order
    }
}
