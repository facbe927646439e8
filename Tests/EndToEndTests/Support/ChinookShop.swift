import ChinookData
import FoundationEssentials
import ProtoShop
import RPC
import RPCClient
import ShopClient
import Synchronization
import TestSupport
import Testing

extension Chinook {
    /// Read once: it is the same for all tests.
    static let shared = Result { try Chinook(fixture: chinookFixture(), stock: 1000) }
}

extension RPCClient.Channel {
    var catalog: Catalog.CatalogService.Client { .init(self) }
    var orders: Orders.OrderService.Client { .init(self) }
}

/// Time of a call on a machine that has much else to do.
let patient = CallOptions(timeout: .seconds(60))

extension Catalog.CatalogService.Client {
    /// Imports products in calls of a size that the API takes.
    func importAll(_ products: [Catalog.Product]) async throws {
        for start in stride(from: 0, to: products.count, by: 500) {
            let response = try await importProducts(
                .init(products: Array(products[start..<min(start + 500, products.count)])), options: patient)
            #expect(response.failures.isEmpty)
        }
    }

    /// The pages of a list, by number.
    func walkByNumber(_ request: Catalog.ListProductsRequest) async throws -> [Catalog.Product] {
        var products: [Catalog.Product] = []
        var request = request
        request.page = 1
        while true {
            let page = try await listProducts(request, options: patient)
            products += page.products
            if Int64(request.page) >= page.pageCount { return products }
            request.page += 1
        }
    }
}

extension Orders.OrderService.Client {
    /// The whole log of completions.
    func allCompletions() async throws -> [Orders.Completion] {
        var completions: [Orders.Completion] = []
        while true {
            let page = try await listCompletions(
                .init(afterSequence: completions.last?.sequence ?? 0, filter: .all, maxCount: 1000), options: patient)
            if page.completions.isEmpty { return completions }
            completions += page.completions
        }
    }

    /// Waits until the order is final.
    func settled(_ id: String) async throws(RPCError) -> Orders.Order {
        while true {
            let order = try await waitOrder(.init(id: id, waitTime: .init(seconds: 20)), options: patient).order
            if let order, order.sequence > 0 { return order }
        }
    }
}

extension Catalog.Money {
    var cents: Int64 { units * 100 + Int64(nanos / 10_000_000) }
}

/// The Chinook store's customers, each of whom submits orders one after another over a channel of its own.
struct Customers: Sendable {
    /// Something that a customer does or sees.
    enum Event: Sendable {
        case submits(customer: String, Orders.SubmitOrderRequest)
        case accepted(customer: String, key: String, id: String, isReplayed: Bool)
        case final(customer: String, Orders.Order)
        case failed(customer: String, key: String, RPCError)
    }

    let orders: [Chinook.CustomerOrder]
    let endpoint: String
    let tell: @Sendable (Event) -> Void

    /// Returns when every order is final, or its customer met a failure and went away.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (customer, orders) in Dictionary(grouping: orders, by: \.customer) {
                tasks.addTask { try await submit(orders.map(\.request), as: customer) }
            }
            try await tasks.waitForAll()
        }
    }

    private func submit(_ requests: [Orders.SubmitOrderRequest], as customer: String) async throws {
        let channel = try Channel(to: endpoint, name: customer)
        defer { channel.close() }
        for request in requests {
            do throws(RPCError) {
                tell(.submits(customer: customer, request))
                let response = try await channel.orders.submitOrder(request, options: patient)
                guard let order = response.order else { continue }
                tell(.accepted(customer: customer, key: request.idempotencyKey, id: order.id, isReplayed: response.replayed))
                tell(.final(customer: customer, try await channel.orders.settled(order.id)))
            } catch {
                return tell(.failed(customer: customer, key: request.idempotencyKey, error))
            }
        }
    }
}

/// A subscriber of all completions, over all restarts of the server.
final class Auditor: Sendable {
    private let channel: RPCClient.Channel
    private let received = Mutex<[Orders.Completion]>([])
    private let isDone = Promise<RPCError?>()
    private let task: Mutex<Task<Void, Never>?> = Mutex(nil)

    /// Subscribes. It is done when it has seen that many numbers.
    init(_ endpoint: String, count: Int, tell: @escaping @Sendable () -> Void = {}) throws {
        channel = try Channel(to: endpoint, name: "auditor")
        let task = Task { [self] in
            do throws(RPCError) {
                for try await completion in CompletionFeed(channel, group: "audit", filter: .all, after: 0) {
                    let isComplete = received.withLock { received in
                        received.append(completion)
                        return Set(received.map(\.sequence)).count == count
                    }
                    tell()
                    if isComplete { break }
                }
                isDone.fulfill(nil)
            } catch {
                isDone.fulfill(error)
            }
        }
        self.task.withLock { $0 = task }
    }

    /// What it was sent, repeats included, once it is done.
    func completions() async throws -> [Orders.Completion] {
        let error = await withTaskCancellationHandler { await isDone.value() } onCancel: { close() }
        close()
        if let error { throw error }
        return received.withLock { $0 }
    }

    func close() {
        task.withLock { $0 }?.cancel()
        channel.close()
    }
}
