import ProtoEcho
import ProtoRuntime
import ProtoShop
import Protobuf
import Testing

struct MessageTests {
    @Test func aMessageWithEverythingSetComesBackEqual() throws {
        let order = Orders.Order(
            id: "ABC", idempotencyKey: "k1", state: .fulfilled,
            lines: [.init(productId: "chinook-1", quantity: 2, unitPrice: .init(currencyCode: "USD", units: 0, nanos: 990_000_000))],
            total: .init(currencyCode: "USD", units: 1, nanos: 980_000_000), rejectReason: .unrecognized(-7),
            rejectDetail: "für 東京", acceptTime: .init(seconds: 1, nanos: 2), finalTime: .init(), sequence: .max)
        let bytes = try order.serializedBytes()
        #expect(try Orders.Order(serializedBytes: bytes) == order)
        #expect(Orders.Order.messageName == "orderwire.orders.v1.Order")
    }

    @Test func mapsComeBackEqualAndHaveOneEncoding() throws {
        let stats = Runtime.StatsResponse(refusedCounts: ["a": 1, "b": -2, "": 3], methods: [.init(method: "m"), .init()])
        let bytes = try stats.serializedBytes()
        #expect(try Runtime.StatsResponse(serializedBytes: bytes) == stats)
        let again = Runtime.StatsResponse(refusedCounts: ["b": -2, "": 3, "a": 1], methods: stats.methods)
        #expect(try again.serializedBytes() == bytes)
    }

    @Test func anEmptyMessageIsNoBytes() throws {
        #expect(try Echo.EchoRequest().serializedBytes() == [])
        #expect(try Echo.EchoRequest(serializedBytes: []) == Echo.EchoRequest())
    }

    @Test func aStringWithNULIsRefusedWithItsPath() {
        let request = Orders.SubmitOrderRequest(idempotencyKey: "k", lines: [.init(), .init(productId: "a\0b")])
        #expect(throws: EncodingError(field: "lines[1].product_id", reason: "contains U+0000, which protobuf-c cannot carry")) {
            try request.serializedBytes()
        }
    }

    @Test func packsIntoTheMemoryItIsGiven() throws {
        let request = Echo.EchoRequest(payload: [1, 2, 3])
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
        defer { memory.deallocate() }
        var size = 0
        try request.serialize { count in
            size = count
            return UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
        }
        #expect(Array(memory[..<size]) == [0x0A, 3, 1, 2, 3])
    }
}
