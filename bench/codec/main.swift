// How long a message takes to encode and decode, and how often memory is asked for: a line a message, the median of several
// rounds. `bench-codec allocations` only counts.

import CAllocations
import Glibc
import MongoDB
import ProtoEcho
import ProtoShop
import Protobuf
import Shop

/// Nanoseconds that one run of `body` takes.
func nanoseconds(_ iterations: Int, _ body: () throws -> Void) rethrows -> Int {
    let clock = ContinuousClock()
    var rounds: [Duration] = []
    for _ in 0..<9 {
        rounds.append(
            try clock.measure {
                for _ in 0..<iterations { try body() }
            })
    }
    let median = rounds.sorted()[rounds.count / 2].components
    return Int(median.seconds * 1_000_000_000 + median.attoseconds / 1_000_000_000) / iterations
}

/// Makes the optimizer believe that a value is needed.
@inline(never)
func keep<T>(_ value: T) {}

/// How often `body` asks for memory.
func allocations(_ body: () throws -> Void) rethrows -> UInt64 {
    try body()  // what is made once
    let before = orderwire_allocations()
    try body()
    return orderwire_allocations() - before
}

func printLine(_ line: String) { _ = write(STDOUT_FILENO, line + "\n", line.utf8.count + 1) }

let onlyCounts = CommandLine.arguments.dropFirst() == ["allocations"]

/// Measures one message both ways and prints the line.
func report<M: Message>(_ name: String, _ message: M, iterations: Int) throws {
    let bytes = try message.serializedBytes()
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { memory.deallocate() }
    let line = try "codec message=\(name) bytes=\(bytes.count)"
        + " encode_allocations=\(allocations { try message.serialize { _ in memory } })"
        + " decode_allocations=\(allocations { keep(try M(serializedBytes: bytes)) })"
    if onlyCounts { return printLine(line) }
    let encode = try nanoseconds(iterations) { try message.serialize { _ in memory } }
    let decode = try nanoseconds(iterations) { keep(try M(serializedBytes: bytes)) }
    printLine(line + " encode_ns=\(encode) decode_ns=\(decode)")
}

/// Measures the way of a page of stored products into a response.
func reportPage(rows: Int, iterations: Int) throws {
    let row = Document { row in
        row.append("_id", product.id)
        row.append("name", product.name)
        row.append("name_key", "for those about to rock (we salute you)\u{1}chinook-1234")
        row.append("category", product.category)
        row.append("category_key", "rock")
        row.document("price") { price in
            price.append("currency", "USD")
            price.append("minor", 99)
        }
        row.append("price_key", "USD0000000000000000099\u{1}chinook-1234")
        row.append("stock", product.stock)
        row.append("description", product.description)
        row.append("updated", BSONDate(millisecondsSince1970: 1_700_000_000_000))
        row.append("version", 1_700_000_000_000_000)
    }
    func page() throws -> EncodedMessage<Catalog.ListProductsResponse> {
        try EncodedMessage(reserving: rows * ProductRow.typicalBytes) { (response) throws(MongoError) in
            for _ in 0..<rows {
                try response.append(.products) { (product) throws(MongoError) in try ProductRow.write(row.view, to: &product) }
            }
        }
    }
    let line = try "page rows=\(rows) bytes=\(page().byteCount) allocations=\(allocations { keep(try page()) })"
    if onlyCounts { return printLine(line) }
    printLine(line + " ns=\(try nanoseconds(iterations) { keep(try page()) })")
}

let product = Catalog.Product(
    id: "chinook-1234", name: "For Those About To Rock (We Salute You)", category: "Rock",
    price: .init(currencyCode: "USD", units: 0, nanos: 990_000_000), stock: 1000,
    description: "Angus Young, Malcolm Young, Brian Johnson", updateTime: .init(seconds: 1_700_000_000, nanos: 5000))
try report("EchoRequest(64)", Echo.EchoRequest(payload: Array(repeating: 7, count: 64)), iterations: 100_000)
try report("EchoRequest(64KiB)", Echo.EchoRequest(payload: Array(repeating: 7, count: 65_536)), iterations: 2_000)
try report(
    "SubmitOrderRequest(5 lines)",
    Orders.SubmitOrderRequest(
        idempotencyKey: "chinook-invoice-17", lines: (0..<5).map { .init(productId: "chinook-\($0)", quantity: 1) }),
    iterations: 50_000)
try report(
    "ListProductsResponse(10)",
    Catalog.ListProductsResponse(products: Array(repeating: product, count: 10), totalSize: 1309, pageCount: 131),
    iterations: 10_000)
try reportPage(rows: 10, iterations: 20_000)
try reportPage(rows: 1000, iterations: 200)
