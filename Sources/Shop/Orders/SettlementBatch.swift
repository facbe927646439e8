/// How many orders fit one settlement transaction.
enum SettlementBatch {
    /// The longest prefix of `orders` that writes at most `maxWrites` documents, and at least the first: each order, each
    /// product they want, the lease and the settlement document.
    static func prefix(of orders: some Collection<OpenOrder>, maxWrites: Int = Limits.maxSettlementWrites) -> Int {
        var products: Set<String> = []
        for (index, order) in orders.enumerated() {
            for line in order.lines { products.insert(line.productID) }
            if index > 0 && index + 1 + products.count + 2 > maxWrites { return index }
        }
        return orders.count
    }
}
