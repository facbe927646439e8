/// The shop's collections. docs/data-model.md tells what is in them.
enum CollectionName {
    static let products = "products"
    static let categories = "categories"
    static let catalog = "catalog"
    static let stockAdjustments = "stock_adjustments"
    static let orders = "orders"
    static let settlements = "settlements"
    static let leases = "leases"
    static let progress = "progress"
    static let groups = "groups"
    static let secrets = "secrets"
}
