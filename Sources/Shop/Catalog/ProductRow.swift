import MongoDB
import ProtoShop
import Protobuf

/// A stored product on its way to a caller: field by field from the row's bytes into those of the message. No field becomes a
/// string, and no row a record.
package enum ProductRow {
    package static func write(_ row: DocumentView, to product: inout MessageWriter<Catalog.Product>) throws(MongoError) {
        // The fields lie in about this order.
        var fields = row.fields()
        product.append(.id, try fields.utf8("_id"))
        product.append(.name, try fields.utf8("name"))
        product.append(.category, try fields.utf8("category"))
        try product.append(.price) { (money) throws(MongoError) in
            var price = try fields.document("price").fields()
            money.append(.currencyCode, try price.utf8("currency"))
            let minor = try price.int64("minor")
            money.append(.units, MinorAmount.units(minor))
            money.append(.nanos, MinorAmount.nanos(minor))
        }
        // It lies behind what follows here.
        var ahead = fields
        product.append(.stock, try ahead.int64("stock"))
        product.append(.description, try fields.utf8("description"))
        let updated = try fields.date("updated").timestamp
        product.append(.updateTime) { time in
            time.append(.seconds, updated.seconds)
            time.append(.nanos, updated.nanos)
        }
        product.append(.version, try fields.int64("version"))
    }

    /// Bytes of a product in a message, roughly: what names and descriptions add shows as the message grows.
    package static let typicalBytes = 256
}
