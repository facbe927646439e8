import ProtoShop
import Synchronization

/// Makes up orders: two products, one piece of each.
final class Shopper: Sendable {
    /// What the orders of a load want.
    enum Taste: String {
        /// Any two products.
        case all
        /// Everybody the same one, and some other.
        case one
    }

    private let products: Int
    private let taste: Taste
    private let prefix = String(UInt64.random(in: 0 ... .max), radix: 36)
    private let next = Atomic<Int>(0)

    init(_ taste: Taste, products: Int) {
        self.taste = taste
        self.products = products
    }

    /// An order under a key that was not used before.
    func order() -> Orders.SubmitOrderRequest {
        let number = next.add(1, ordering: .relaxed).oldValue
        let first = taste == .one ? 0 : Int.random(in: 0..<products)
        let second = (first + Int.random(in: 1..<products)) % products
        return Orders.SubmitOrderRequest(
            idempotencyKey: "\(prefix)-\(number)",
            lines: [.init(productId: "product-\(first)", quantity: 1), .init(productId: "product-\(second)", quantity: 1)])
    }
}
