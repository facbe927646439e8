import MongoDB
import ProtoShop
import Protobuf

/// A stored product on its way to a caller: field by field from the row's bytes into those of the message. No field becomes a
/// string, and no row a record.
package enum ProductRow {
    package static func write(_ row: DocumentView, to product: inout MessageWriter<Catalog.Product>) throws(MongoError) {
        product.append(.id, try row.utf8("_id"))
        product.append(.name, try row.utf8("name"))
        product.append(.category, try row.utf8("category"))
        try product.append(.price) { (money) throws(MongoError) in
            let price = try row.document("price")
            let minor = try price.int64("minor")
            money.append(.currencyCode, try price.utf8("currency"))
            money.append(.units, MinorAmount.units(minor))
            money.append(.nanos, MinorAmount.nanos(minor))
        }
        product.append(.stock, try row.int64("stock"))
        product.append(.description, try row.utf8("description"))
        let updated = try row.date("updated").timestamp
        product.append(.updateTime) { time in
            time.append(.seconds, updated.seconds)
            time.append(.nanos, updated.nanos)
        }
        product.append(.version, try row.int64("version"))
    }

    /// Bytes of a product in a message, roughly: what names and descriptions add shows as the message grows.
    package static let typicalBytes = 256
}
