import MongoDB

/// Where the lists have a product: its stored keys.
struct ProductPlace: Sendable, Equatable {
    var category: String
    var name: String
    var price: String

    func key(_ key: ProductOrder.Key) -> String {
        switch key {
        case .name: name
        case .price: price
        }
    }
}

/// A product that came, went, or changed its place.
struct ProductMove: Sendable, Equatable {
    /// Nil: it is new.
    var from: ProductPlace?
    /// Nil: it is gone.
    var to: ProductPlace?
}

/// What one transaction did to the lists.
struct CatalogChange: Sendable, Equatable {
    /// The catalogue's stamp before it, and after it.
    var after: CatalogStamp
    var stamp: CatalogStamp
    var moves: [ProductMove]

    /// Whether others are told of such moves. The document that tells of them is read and written with each change, so it must stay small.
    static func canTell(_ moves: [ProductMove]) -> Bool {
        moves.reduce(0) { $0 + ($1.from?.byteCount ?? 0) + ($1.to?.byteCount ?? 0) } <= Limits.maxToldBytes
    }
}

// MARK: - As a document

extension ProductPlace {
    fileprivate var byteCount: Int { category.utf8.count + name.utf8.count + price.utf8.count }

    /// The stored keys of a product; nil where one is missing, which only damage explains.
    init?(stored row: DocumentView) {
        guard let category = row.find("category_key")?.string, let name = row.find("name_key")?.string, let price = row.find("price_key")?.string
        else { return nil }
        self.init(category: category, name: name, price: price)
    }

    fileprivate func write(to document: inout DocumentBuilder) {
        document.append("category_key", category)
        document.append("name_key", name)
        document.append("price_key", price)
    }
}

extension ProductRecord {
    /// Where the lists have it once it is stored.
    var place: ProductPlace { ProductPlace(category: categoryKey, name: nameKey, price: priceKey) }
}

extension CatalogChange {
    /// What sets the catalogue's stamp and adds a change to the last that are told of: a stage, as only that can use the old stamp.
    static func told(_ moves: [ProductMove], stamp: CatalogStamp) -> Update {
        let stage = Document { stage in
            stage.document("$set") { set in
                set.append("stamp", stamp.value)
                set.document("changes") { changes in
                    changes.array("$slice") { slice in
                        slice.document { told in
                            told.array("$concatArrays") { arrays in
                                arrays.document { $0.array("$ifNull") { $0.append("$changes"); $0.array { _ in } } }
                                arrays.array { $0.document { write(moves, stamp, to: &$0) } }
                            }
                        }
                        slice.append(-Limits.maxToldChanges)
                    }
                }
            }
        }
        return Update(pipeline: [stage])
    }

    private static func write(_ moves: [ProductMove], _ stamp: CatalogStamp, to change: inout DocumentBuilder) {
        change.append("after", "$stamp")
        change.append("stamp", stamp.value)
        change.document("moves") { literal in
            // Keys are callers' text: nothing in them is to be taken for an expression.
            literal.array("$literal") { array in
                for move in moves {
                    array.document { document in
                        if let from = move.from { document.document("from") { from.write(to: &$0) } }
                        if let to = move.to { document.document("to") { to.write(to: &$0) } }
                    }
                }
            }
        }
    }

    /// The changes that the catalogue's document tells of. What cannot be read ends what is known.
    static func all(in row: DocumentView) throws(MongoError) -> [CatalogChange] {
        var changes: [CatalogChange] = []
        try row.find("changes")?.array?.forEachDocument { change throws(MongoError) in
            var moves: [ProductMove] = []
            try change.array("moves").forEachDocument { move throws(MongoError) in
                moves.append(.init(from: try place("from", in: move), to: try place("to", in: move)))
            }
            // The first change of all came after no stamp.
            let after = change.find("after")?.int64.map { CatalogStamp(value: $0) } ?? .none
            changes.append(.init(after: after, stamp: CatalogStamp(value: try change.int64("stamp")), moves: moves))
        }
        return changes
    }

    private static func place(_ name: FieldName, in move: DocumentView) throws(MongoError) -> ProductPlace? {
        guard move.contains(name) else { return nil }
        guard let place = ProductPlace(stored: try move.document(name)) else {
            throw MongoError(.malformedDocument, "a change of the catalogue lacks a key")
        }
        return place
    }
}
