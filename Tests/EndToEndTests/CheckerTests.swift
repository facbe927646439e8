import ProtoShop
import TestSupport
import Testing

/// The checker finds nothing in a shop that keeps its promises, and each way to break one.
@Suite("The checker")
struct CheckerTests {
    /// Two clients, three orders in two settlements, of which one is rejected; everybody was told.
    private static func good() -> (history: History, contents: ShopContents) {
        let history = History()
        let subscribers = [History.Subscriber(name: "all", submitter: nil), History.Subscriber(name: "own", submitter: "ann")]
        for subscriber in subscribers { history.note(.subscribed(subscriber)) }
        var contents = ShopContents()
        contents.stock = ["p": 5, "q": 9]
        contents.sequence = 3
        let submissions = [
            History.Submission(client: "ann", key: "1", lines: ["p": 2, "q": 1]), .init(client: "bob", key: "1", lines: ["p": 3]),
            .init(client: "ann", key: "2", lines: ["p": 9]),
        ]
        let results: [(state: Int64, total: Int64?, prices: [Int64])] = [(2, 350, [100, 150]), (2, 300, [100]), (3, nil, [])]
        for (index, submission) in submissions.enumerated() {
            let result = results[index]
            let last: Int64 = index < 2 ? 2 : 3
            history.note(.invoked(submission))
            history.note(.accepted(client: submission.client, key: submission.key, id: "o\(index)"))
            contents.orders.append(
                .init(
                    id: "o\(index)", identity: submission.client, key: submission.key, lines: submission.lines, state: result.state,
                    settlement: last, isQueued: false, isParked: false))
            let row = ShopContents.Row(
                sequence: Int64(index + 1), order: "o\(index)", identity: submission.client, key: submission.key, state: result.state,
                total: result.total, prices: result.prices)
            if index == 1 { contents.settlements[0].rows.append(row) } else {
                contents.settlements.append(.init(last: last, epoch: last, rows: [row]))
            }
            for subscriber in subscribers where (subscriber.submitter ?? submission.client) == submission.client {
                history.note(.notified(subscriber, completion(of: row)))
            }
            history.note(.observed(client: submission.client, Orders.Order(id: "o\(index)", state: .accepted)))
            history.note(.observed(client: submission.client, order(of: row)))
        }
        return (history, contents)
    }

    private static func money(_ total: Int64?) -> Catalog.Money? {
        total.map { Catalog.Money(currencyCode: "USD", units: $0 / 100, nanos: Int32($0 % 100) * 10_000_000) }
    }

    private static func completion(of row: ShopContents.Row) -> Orders.Completion {
        Orders.Completion(
            sequence: row.sequence, orderId: row.order, idempotencyKey: row.key, state: Orders.OrderState(rawValue: Int32(row.state)),
            total: money(row.total), submitter: row.identity)
    }

    private static func order(of row: ShopContents.Row) -> Orders.Order {
        Orders.Order(id: row.order, state: Orders.OrderState(rawValue: Int32(row.state)), total: money(row.total), sequence: row.sequence)
    }

    private static func kinds(_ history: History, _ contents: ShopContents) -> Set<Checker.Kind> {
        Set(Checker(history, contents, initialStock: ["p": 10, "q": 10]).findings().map(\.kind))
    }

    @Test("is content with a shop that keeps its promises")
    func content() {
        let (history, contents) = Self.good()
        #expect(Checker(history, contents, initialStock: ["p": 10, "q": 10]).findings().map(\.description) == [])
    }

    @Test("finds each thing that can be wrong in the database", arguments: damages)
    func damaged(damage: Damage) {
        let (history, good) = Self.good()
        var contents = good
        damage.apply(&contents)
        #expect(Self.kinds(history, contents).isSuperset(of: damage.kinds))
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        var name: String
        var kinds: Set<Checker.Kind>
        var apply: @Sendable (inout ShopContents) -> Void

        var testDescription: String { name }

        init(_ name: String, _ kinds: Set<Checker.Kind>, _ apply: @escaping @Sendable (inout ShopContents) -> Void) {
            (self.name, self.kinds, self.apply) = (name, kinds, apply)
        }
    }

    static let damages = [
        Damage("an order is gone", [.lost]) { $0.orders.remove(at: 0) },
        Damage("a stranger's order", [.unexpected]) { $0.orders[0].key = "3" },
        Damage("other lines", [.unexpected]) { $0.orders[0].lines["p"] = 3 },
        Damage("a key twice", [.duplicate, .lost]) { $0.orders[2].key = "1" },
        Damage("an order settled twice", [.duplicate, .stock]) { contents in
            var again = contents.settlements[0].rows[0]
            again.sequence = 4
            contents.settlements[1].rows.append(again)
            contents.settlements[1].last = 4
            contents.sequence = 4
        },
        Damage("a number is missing", [.sequence]) { $0.settlements[1].rows[0].sequence = 4 },
        Damage("more numbers than rows", [.sequence]) { $0.sequence = 4 },
        Damage("an old settler wrote", [.fence]) { $0.settlements[0].epoch = 9 },
        Damage("stock moved once too often", [.stock]) { $0.stock["p"] = 4 },
        Damage("stock below zero", [.stock]) { contents in
            contents.settlements[1].rows[0].state = 2
            contents.orders[2].state = 2
            contents.stock["p"] = -4
        },
        Damage("a wrong total", [.money]) { $0.settlements[0].rows[0].total = 351 },
        Damage("an order that waits", [.unfinished]) { $0.orders[2].isQueued = true },
        Damage("an order that waits for nothing", [.unfinished]) { $0.orders[2].state = 1 },
        Damage("final without a settlement", [.lost]) { $0.settlements[1].rows = [] },
        Damage("another state than its settlement's", [.state]) { $0.orders[0].state = 4 },
    ]

    @Test("finds each thing that clients can be shown wrongly")
    func wrongViews() {
        let all = History.Subscriber(name: "all", submitter: nil)
        let late = History.Subscriber(name: "late", submitter: "bob")
        let (_, contents) = Self.good()
        let rows = contents.rows
        let cases: [(name: String, event: History.Event, kind: Checker.Kind)] = [
            ("accepted, and not there", .accepted(client: "bob", key: "1", id: "none"), .lost),
            ("accepted as another's", .accepted(client: "bob", key: "1", id: "o0"), .lost),
            ("one key, two orders", .accepted(client: "ann", key: "1", id: "o2"), .duplicate),
            ("never told", .subscribed(late), .notification),
            ("told of a stranger's", .notified(History.Subscriber(name: "own", submitter: "ann"), Self.completion(of: rows[1])), .notification),
            ("told what is not so", .notified(all, Orders.Completion(sequence: 1, orderId: "o0", state: .rejected)), .notification),
            ("told what is not there", .notified(all, Orders.Completion(sequence: 4, orderId: "o0", state: .fulfilled)), .notification),
            ("back from final", .observed(client: "ann", Orders.Order(id: "o0", state: .accepted)), .state),
            ("another end", .observed(client: "ann", Orders.Order(id: "o2", state: .fulfilled, sequence: 3)), .state),
        ]
        for (name, event, kind) in cases {
            let (history, contents) = Self.good()
            history.note(event)
            #expect(Self.kinds(history, contents).contains(kind), "\(name)")
        }
        let (history, _) = Self.good()
        history.note(.invoked(.init(client: "bob", key: "2", lines: ["p": 1])))
        history.note(.refused(client: "bob", key: "2"))
        var stored = contents
        stored.orders.append(
            .init(id: "o3", identity: "bob", key: "2", lines: ["p": 1], state: 1, settlement: nil, isQueued: true, isParked: false))
        #expect(Self.kinds(history, stored).isSuperset(of: [.unexpected, .unfinished]))
    }
}
