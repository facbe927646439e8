// How long a message takes to encode and decode: a line a message, the median of several rounds.

import Glibc
import ProtoEcho
import ProtoShop
import Protobuf

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

/// Measures one message both ways and prints the line.
func report<M: Message>(_ name: String, _ message: M, iterations: Int) throws {
    let bytes = try message.serializedBytes()
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { memory.deallocate() }
    let encode = try nanoseconds(iterations) { try message.serialize { _ in memory } }
    let decode = try nanoseconds(iterations) { keep(try M(serializedBytes: bytes)) }
    let line = "codec message=\(name) bytes=\(bytes.count) encode_ns=\(encode) decode_ns=\(decode)\n"
    _ = write(STDOUT_FILENO, line, line.utf8.count)
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
