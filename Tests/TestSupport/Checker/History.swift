package import ProtoShop
import Synchronization

/// What clients did and saw, in the order in which it was noted: one half of what the checker looks at.
///
/// A call is noted as invoked before it is made, so that nothing can be in the database of which nobody knows.
package final class History: Sendable {
    /// An order as a client wants it.
    package struct Submission: Sendable, Hashable {
        package var client: String
        package var key: String
        /// Quantities by product.
        package var lines: [String: Int64]

        package init(client: String, key: String, lines: [String: Int64]) {
            self.client = client
            self.key = key
            self.lines = lines
        }
    }

    /// Who hears of completions, and of which.
    package struct Subscriber: Sendable, Hashable {
        package var name: String
        /// Whose completions; nil: everybody's.
        package var submitter: String?

        package init(name: String, submitter: String?) {
            self.name = name
            self.submitter = submitter
        }
    }

    package enum Event: Sendable {
        case invoked(Submission)
        /// Ok: the order is this one.
        case accepted(client: String, key: String, id: String)
        /// Failed, and certainly not carried out.
        case refused(client: String, key: String)
        /// Failed, and nobody knows.
        case unknown(client: String, key: String)
        /// A client asked how its order stands. It asks about an order from one task only, so that these are in their order.
        case observed(client: String, Orders.Order)
        case subscribed(Subscriber)
        case notified(Subscriber, Orders.Completion)
    }

    private let noted = Mutex<[Event]>([])

    package init() {}

    package func note(_ event: Event) { noted.withLock { $0.append(event) } }

    package var events: [Event] { noted.withLock { $0 } }
}
