import MongoDB
import ProtoShop
import RPC
import Synchronization

/// Imports products: the calls that wait, together, by one transaction.
///
/// Only one transaction runs at a time, as all of them change the same counts. What can be done without the database (checking,
/// folding, BSON, sorting) is done before, so that the next batch is ready when the database is, and the wait for a majority's
/// journals comes after, beside the next transaction.
final class ImportProducts: Sendable {
    typealias Call = ServerCall<Catalog.ImportProductsRequest, Catalog.ImportProductsResponse>

    private let database: ShopDatabase
    private let productImport: ProductImport
    private let bulkLoad: BulkLoad
    private let turn = Mutex(())

    init(database: ShopDatabase, productImport: ProductImport, bulkLoad: BulkLoad) {
        self.database = database
        self.productImport = productImport
        self.bulkLoad = bulkLoad
    }

    /// A call whose products are ready to be stored.
    private struct Batch {
        var call: Call
        var products: [ImportedProduct] = []
        var failures: [Catalog.ImportFailure] = []
    }

    func callAsFunction(_ calls: [Call]) {
        let batches = calls.compactMap(prepare)
        guard !batches.isEmpty else { return }
        // Small ones that go on for ever do not put off the end of a large one.
        let isLarge = isLarge(batches)
        if isLarge { bulkLoad.callsBegin() }
        defer { if isLarge { bulkLoad.callsEnd() } }
        // Alone, what is wrong with the products of one call does no harm to others.
        if !store(batches, isLastTry: batches.count == 1) {
            for batch in batches { _ = store([batch], isLastTry: true) }
        }
    }

    private func isLarge(_ batches: [Batch]) -> Bool {
        batches.contains { $0.call.request.expectedProducts >= Limits.minBulkLoad }
    }

    /// Checks a call's products; nil where the call as a whole is refused.
    private func prepare(_ call: Call) -> Batch? {
        let products = call.request.products
        guard (1...Limits.maxImportBatch).contains(products.count) else {
            var violations = Violations()
            violations.add("products", "must be 1 to \(Limits.maxImportBatch) products; there are \(products.count)")
            call.fail(.invalidFields(violations.list))
            return nil
        }
        var batch = Batch(call: call)
        let now = BSONDate.now()
        for (index, product) in products.enumerated() {
            do throws(RPCError) {
                batch.products.append(ImportedProduct(try ProductRecord(importing: product, at: now)))
            } catch {
                batch.failures += error.fieldViolations.map {
                    Catalog.ImportFailure(index: Int32(index), field: $0.field, description: $0.description)
                }
            }
        }
        return batch
    }

    /// Stores the products of some calls and answers these. Where it fails for their own sake, and another try is to come, it
    /// answers nothing and returns false.
    private func store(_ batches: [Batch], isLastTry: Bool) -> Bool {
        guard let deadline = batches.map(\.call.context.deadline).max(by: { $0.time < $1.time }) else { return true }
        var cause: MongoError?
        do throws(RPCError) {
            let stored = try database.perform(.write, before: deadline) { client throws(MongoError) in
                do throws(MongoError) {
                    return try store(batches, client, before: deadline)
                } catch {
                    cause = error
                    throw error
                }
            }
            for (batch, outcome) in stored {
                batch.call.reply(
                    .init(insertedCount: Int32(outcome.inserted), replacedCount: Int32(outcome.replaced), failures: batch.failures))
            }
        } catch {
            if !isLastTry, let cause, !cause.isAboutDatabase { return false }
            for batch in batches { batch.call.fail(error) }
        }
        return true
    }

    /// Stores the products of those calls that are still wanted when it is their turn.
    private func store(
        _ batches: [Batch], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [(Batch, ProductImport.Outcome)] {
        let session = try client.startSession()
        var batches = batches
        var products = productImport.merge(batches.map(\.products))
        let known = try turn.withLock { (_) throws(MongoError) -> Set<String> in
            // Whoever has given up meanwhile is told by the runtime that nothing may have been done; so nothing is done.
            let wanted = batches.filter { !$0.call.context.isAbandoned }
            if wanted.count < batches.count {
                batches = wanted
                products = productImport.merge(batches.map(\.products))
            }
            if products.isEmpty { return [] }
            if isLarge(batches) { try bulkLoad.beginIfEmpty(client, before: deadline) }
            return try productImport.store(products, in: session, before: deadline)
        }
        if !products.isEmpty { try Transactions.makeDurable(session, before: deadline) }
        return Array(zip(batches, productImport.outcomes(of: batches.map(\.products), known: known)))
    }
}
