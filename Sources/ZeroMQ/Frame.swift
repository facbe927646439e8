internal import CZeroMQ
import Glibc

/// One frame: owns a `zmq_msg_t`.
///
/// The `zmq_msg_t` has an address of its own that never changes, because libzmq keeps up to 33 bytes of content inside it:
/// a pointer into a copy on the stack would dangle. Not to be used by two threads at the same time; passing it on is fine.
package final class Frame: @unchecked Sendable {
    let raw: UnsafeMutablePointer<zmq_msg_t>

    /// An empty frame, to receive into.
    package init() {
        raw = Self.allocate()
        zmq_msg_init(raw)
    }

    /// A frame of `count` bytes that are not initialized yet.
    package init(count: Int) {
        raw = Self.allocate()
        let result = zmq_msg_init_size(raw, count)
        // zmq_msg_init_size(3) fails with ENOMEM only.
        precondition(result == 0, "out of memory for a frame of \(count) bytes")
    }

    /// malloc aligns to 16 bytes, which is enough; Swift's own allocation takes posix_memalign's slow way for this type.
    private static func allocate() -> UnsafeMutablePointer<zmq_msg_t> {
        guard let memory = malloc(MemoryLayout<zmq_msg_t>.size) else { preconditionFailure("out of memory for a frame") }
        return memory.assumingMemoryBound(to: zmq_msg_t.self)
    }

    /// A frame with the content of `bytes`.
    package convenience init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count)
        unsafeMutableBytes.copyMemory(from: bytes)
    }

    /// A frame with the content of `bytes`.
    package convenience init(copying bytes: [UInt8]) {
        self.init(count: bytes.count)
        bytes.withUnsafeBytes { unsafeMutableBytes.copyMemory(from: $0) }
    }

    /// Another frame with the same content; long content is shared and counted by libzmq, not copied.
    package func sharedCopy() -> Frame {
        let copy = Frame()
        zmq_msg_copy(copy.raw, raw)
        return copy
    }

    deinit {
        zmq_msg_close(raw)
        free(raw)
    }

    /// Bytes of content.
    package var count: Int { zmq_msg_size(raw) }

    /// The content; valid while this object lives and is neither sent nor received into.
    package var unsafeMutableBytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: zmq_msg_data(raw), count: zmq_msg_size(raw))
    }

    /// The content; valid while this object lives and is neither sent nor received into.
    package var unsafeBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(unsafeMutableBytes) }

    /// A copy of the content.
    package var bytes: [UInt8] { [UInt8](unsafeBytes) }

    /// A property that a ZAP handler or the transport attached, as in "User-Id"; nil where there is none.
    package func metadata(_ name: String) -> String? {
        zmq_msg_gets(raw, name).map { String(cString: $0) }
    }
}
