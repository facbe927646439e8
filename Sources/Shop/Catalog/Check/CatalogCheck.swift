import MongoDB
import ProtoShop
import RPC

/// Compares what the catalogue stores twice: counts of categories with products, keys of products with their fields, indexes with
/// what queries ask for.
///
/// What has to agree is read at one moment, a small piece at a time: a product is one document, and a few categories are compared with
/// their products in one transaction. So it is exact beside any number of writers, holds up nobody, needs the past of nothing, and
/// can be given up at any time.
struct CatalogCheck: ~Copyable {
    let database: String
    /// Mends what is found; nil: it is only told.
    let repair: CatalogRepair?
    let deadline: Deadline
    /// False once nobody wants the answer any more.
    let isWanted: () -> Bool

    private(set) var report = Catalog.CheckCatalogResponse()

    init(database: String, repair: CatalogRepair?, before deadline: Deadline, isWanted: @escaping () -> Bool) {
        self.database = database
        self.repair = repair
        self.deadline = deadline
        self.isWanted = isWanted
    }

    /// Checks everything. Throws where it was given up, too.
    mutating func run(_ client: borrowing Client) throws(MongoError) {
        try checkIndexes(client)
        // First, so that keys that are mended are moved between counts that are right.
        try checkCounts(client)
        try checkProducts(client)
    }

    private mutating func note(
        _ fault: Catalog.CatalogFault, _ subject: String, stored: String = "", expected: String = "", repaired: Bool
    ) {
        report.findingCount += 1
        if repaired { report.repairedCount += 1 }
        guard report.findings.count < Limits.maxFindings else { return }
        report.findings.append(
            Catalog.CatalogFinding(fault: fault, subject: subject, stored: stored, expected: expected, repaired: repaired))
    }

    private func goOn() throws(MongoError) {
        if deadline.hasPassed || !isWanted() { throw MongoError(.timeout, "the check was given up") }
    }

    // MARK: Indexes

    private mutating func checkIndexes(_ client: borrowing Client) throws(MongoError) {
        for (collection, wanted) in ShopSchema.indexes {
            let there = try client.collection(collection, in: database).indexes(timeLimit: deadline.remaining)
            for index in wanted {
                try goOn()
                let subject = "\(collection).\(index.name)"
                if let same = there.first(where: { $0.name == index.name }) {
                    guard same != index else { continue }
                    note(.differentIndex, subject, stored: same.form, expected: index.form, repaired: false)
                } else {
                    try repair?.create(index, in: collection, client, before: deadline)
                    note(.missingIndex, subject, expected: index.form, repaired: repair != nil)
                }
            }
        }
    }

    // MARK: Products

    /// Looks at every product.
    private mutating func checkProducts(_ client: borrowing Client) throws(MongoError) {
        var last = ""
        while true {
            try goOn()
            var wrong: [(id: String, stored: String, expected: String)] = []
            let size = try readPiece(after: &last, client, &wrong)
            if !wrong.isEmpty {
                try repair?.mendKeys(of: wrong.map(\.id), client, before: deadline)
                for product in wrong {
                    note(.wrongKeys, product.id, stored: product.stored, expected: product.expected, repaired: repair != nil)
                }
            }
            if size < Limits.checkedAtOnce { return }
        }
    }

    /// Looks at the next products after an id, and returns how many those are.
    private mutating func readPiece(
        after last: inout String, _ client: borrowing Client, _ wrong: inout [(id: String, stored: String, expected: String)]
    ) throws(MongoError) -> Int {
        let after = last
        let filter = Document { filter in filter.document("_id") { $0.append("$gt", after) } }
        let options = FindOptions(
            sort: Document { $0.append("_id", 1) }, limit: Limits.checkedAtOnce, hint: "_id_", readConcern: .majority,
            timeLimit: deadline.remaining)
        var cursor = try client.collection(CollectionName.products, in: database).find(filter, options)
        var size = 0
        while let row = try cursor.next() {
            size += 1
            last = try row.string("_id")
            do throws(MongoError) {
                let keys = try ProductRecord(row).wrongKeys(in: row)
                guard !keys.isEmpty else { continue }
                let stored = keys.map { ProductKey($0.name, in: row).map { "\($0)" } ?? "no \($0.name)" }
                wrong.append((last, stored.joined(separator: ", "), keys.map { "\($0)" }.joined(separator: ", ")))
            } catch {
                note(.malformedProduct, last, stored: error.message, repaired: false)
            }
        }
        report.productCount += Int64(size)
        return size
    }

    // MARK: Counts

    /// Looks at the counts of all categories, in the order of their keys.
    private mutating func checkCounts(_ client: borrowing Client) throws(MongoError) {
        let session = try client.startSession()
        var last: String?
        repeat {
            try goOn()
            let stretch = try Transactions.run(on: session, before: deadline) { session throws(MongoError) in
                try CategoryStretch(after: last, in: database, session, before: deadline)
            }
            try compare(stretch, client)
            last = stretch.end
        } while last != nil
    }

    private mutating func compare(_ stretch: CategoryStretch, _ client: borrowing Client) throws(MongoError) {
        let (stored, counted) = (stretch.stored, stretch.counted)
        let keys = Set(stored.keys).union(counted.keys)
        report.categoryCount += Int64(keys.count)
        for key in keys.sorted() where stored[key] != counted[key] {
            try goOn()
            try repair?.recount(key, client, before: deadline)
            let fault: Catalog.CatalogFault =
                if counted[key] == nil { .emptyCategory } else if stored[key] == nil { .missingCategory } else { .wrongCount }
            note(
                fault, key, stored: stored[key].map { "\($0)" } ?? "", expected: counted[key].map { "\($0)" } ?? "",
                repaired: repair != nil)
        }
    }
}
