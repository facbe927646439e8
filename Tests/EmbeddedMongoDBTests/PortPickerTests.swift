import EmbeddedMongoDB
import Glibc
import Testing

@Suite struct PortPickerTests {
    @Test func portsAreDistinctAndBelowTheEphemeralOnes() {
        let ports = (0..<100).map { _ in PortPicker.free() }
        #expect(Set(ports).count == ports.count)
        #expect(ports.allSatisfy { $0 >= 10_000 && $0 < 32_768 })
    }

    @Test func aLeasedPortIsNobodyElsesUntilTheLeaseEnds() {
        var lease: PortLease? = PortPicker.lease()
        let port = lease?.port ?? 0
        #expect(PortPicker.lease(again: port) == nil)
        lease = nil
        #expect(PortPicker.lease(again: port)?.port == port)
    }

    @Test func aPortThatSomebodyListensOnIsNotTaken() throws {
        let listener = try Listener()
        defer { listener.close() }
        #expect(PortPicker.lease(again: listener.port) == nil)
    }

    /// The child would be given the parent's port only by a picker that does not look beyond its own process.
    @Test func anotherProcessDoesNotGetTheSamePort() async {
        let port: UInt16 = PortPicker.free()
        await #expect(processExitsWith: .success) { [port = port as UInt16] in
            #expect(PortPicker.lease(again: port) == nil)
        }
    }
}

/// A socket that listens on a port of its own choice.
struct Listener {
    let port: UInt16
    private let descriptor: Int32

    init(port wanted: UInt16? = nil) throws {
        port = wanted ?? UInt16.random(in: 20_000..<30_000)
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(bound == 0 && listen(descriptor, 1) == 0)
    }

    func close() {
        Glibc.close(descriptor)
    }
}
