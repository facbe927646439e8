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
        // The system's random numbers cost a system call each; these are mixed as SplitMix64 does it.
        var chance = (UInt64(number) &+ 1) &* 0x9E37_79B9_7F4A_7C15
        chance = (chance ^ chance >> 30) &* 0xBF58_476D_1CE4_E5B9
        chance = (chance ^ chance >> 27) &* 0x94D0_49BB_1331_11EB
        let first = taste == .one ? 0 : Int(chance >> 40) % products
        let second = (first + 1 + Int(chance & 0xFF_FFFF) % (products - 1)) % products
        return Orders.SubmitOrderRequest(
            idempotencyKey: "\(prefix)-\(number)",
            lines: [.init(productId: "product-\(first)", quantity: 1), .init(productId: "product-\(second)", quantity: 1)])
    }
}
