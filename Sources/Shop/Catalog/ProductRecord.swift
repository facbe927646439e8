import Glibc
import MongoDB
import ProtoShop
import RPC

/// A product as it is stored.
struct ProductRecord: Sendable, Equatable {
    var id: String
    var name: String
    var category: String
    var price: MinorAmount
    var stock: Int64
    var description: String
    /// When it was last changed.
    var updatedAt: BSONDate
    /// Greater after each change of anything but stock; see `nextVersion`.
    var version: Int64

    var nameKey: String { ProductKeys.nameKey(name: name, id: id) }
    var priceKey: String { ProductKeys.priceKey(price, id: id) }
    var categoryKey: String { ProductKeys.categoryKey(category) }

    /// The version of a product after a change: microseconds since 1970, so that a product which is deleted and comes back does
    /// not begin where it was, and always more than `version`, whatever the clock says.
    static func nextVersion(after version: Int64) -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return max(Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000, version + 1)
    }
}

// MARK: - On the wire

extension ProductRecord {
    /// Checks a product that is to be imported, and throws all that is wrong with it.
    init(importing product: Catalog.Product, at time: BSONDate) throws(RPCError) {
        var violations = Violations()
        violations.checkID(product.id, "id")
        violations.checkText(product.name, "name", isRequired: true, maxLength: Limits.maxNameLength)
        violations.checkText(product.category, "category", isRequired: true, maxLength: Limits.maxCategoryLength)
        let price = MinorAmount(product.price, field: "price", &violations)
        if !(0...Limits.maxStock).contains(product.stock) { violations.add("stock", "must be 0 to \(Limits.maxStock)") }
        violations.checkText(product.description, "description", isRequired: false, maxLength: Limits.maxDescriptionLength)
        guard let price, violations.isEmpty else { throw .invalidFields(violations.list) }
        self.init(
            id: product.id, name: product.name, category: product.category, price: price, stock: product.stock,
            description: product.description, updatedAt: time, version: Self.nextVersion(after: 0))
    }

    var product: Catalog.Product {
        Catalog.Product(
            id: id, name: name, category: category, price: price.money, stock: stock, description: description,
            updateTime: updatedAt.timestamp, version: version)
    }
}
