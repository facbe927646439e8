/// Prices and stock as the settler's last transactions left them, so that most products need not be read for the next one.
///
/// A price holds as long as the catalogue has the same stamp, which each settlement reads in its own snapshot. Stock may have
/// changed by other hands: what is known of it serves only products of which more is left than a batch wants, and is checked by the
/// statement that takes it. Where that finds less, the settlement fails, all this is forgotten, and the batch is decided anew.
struct KnownProducts: Sendable {
    private var stamp = CatalogStamp.none
    private var products: [String: StockedProduct] = [:]

    /// Those of the demanded products that need not be read, while the catalogue has this stamp.
    func enough(for demands: [String: Int64], at stamp: CatalogStamp) -> [String: StockedProduct] {
        guard stamp == self.stamp else { return [:] }
        var enough: [String: StockedProduct] = [:]
        enough.reserveCapacity(demands.count)
        for (id, demand) in demands {
            if let product = products[id], product.stock > demand { enough[id] = product }
        }
        return enough
    }

    /// Remembers products that were decided on under this stamp, without what was taken of them.
    mutating func learn(_ decided: [String: StockedProduct], without taken: [String: Int64], at stamp: CatalogStamp) {
        if stamp != self.stamp || products.count + decided.count > Limits.maxKnownProducts { products = [:] }
        self.stamp = stamp
        for (id, product) in decided {
            products[id] = StockedProduct(price: product.price, stock: product.stock - taken[id, default: 0])
        }
    }
}
