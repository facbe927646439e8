import Foundation
import ProtoEcho
import ProtoShop
import Protobuf
import Testing

/// One arena serves a thread's messages, one after the other.
struct ArenaTests {
    @Test func encodingInsideAllocateUsesAnArenaOfItsOwn() throws {
        let outer = Catalog.Product(id: "outer", name: String(repeating: "n", count: 500))
        let inner = Catalog.Product(id: "inner", name: String(repeating: "m", count: 500))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 8)
        defer { memory.deallocate() }
        var size = 0
        var innerBytes: [UInt8] = []
        try outer.serialize { count in
            size = count
            innerBytes = (try? inner.serializedBytes()) ?? []
            return memory
        }
        #expect(try Catalog.Product(serializedBytes: Array(memory[..<size])) == outer)
        #expect(try Catalog.Product(serializedBytes: innerBytes) == inner)
    }

    @Test func messagesLargerThanABlock() throws {
        for count in [0, 1, 32_000, 32_767, 32_768, 32_769, 1_000_000, 4_000_000] {
            let request = Echo.EchoRequest(payload: Array(repeating: 7, count: count))
            #expect(try Echo.EchoRequest(serializedBytes: request.serializedBytes()) == request)
        }
    }

    @Test func manyThreads() async throws {
        let order = Orders.SubmitOrderRequest(
            idempotencyKey: "key", lines: (0..<50).map { .init(productId: "product-\($0)", quantity: $0) })
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var same = true
                    for _ in 0..<200 {
                        same = try Orders.SubmitOrderRequest(serializedBytes: order.serializedBytes()) == order && same
                    }
                    return same
                }
            }
            for try await same in group { #expect(same) }
        }
    }

    /// Good and refused messages alike leave nothing behind.
    @Test func memoryStaysFlat() throws {
        let good = try Catalog.ListProductsResponse(
            products: Array(repeating: .init(id: "id", name: String(repeating: "x", count: 900)), count: 500)
        ).serializedBytes()
        let bad = good + [0]
        func rounds(_ count: Int) throws {
            for _ in 0..<count {
                _ = try Catalog.ListProductsResponse(serializedBytes: good).serializedBytes()
                #expect(throws: DecodingError.self) { try Catalog.ListProductsResponse(serializedBytes: bad) }
                #expect(throws: DecodingError.self) {
                    try Catalog.ListProductsResponse(serializedBytes: good, limits: .init(maxArenaBytes: 100_000))
                }
            }
        }
        // A round moves 2 MB, so a leak shows in every attempt. Other tests of the process may grow during one of them.
        let growths = try (0..<5).map { _ in
            let before = try residentKiB()
            try rounds(50)
            return try residentKiB() - before
        }
        #expect(growths.contains { $0 < 5_000 }, "KiB: \(growths)")
    }

    private func residentKiB() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
    }
}
