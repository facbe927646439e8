internal import CZeroMQ

/// One frame: refers to a `zmq_msg_t`, which is closed when the last copy of this value goes.
///
/// Not to be used by two threads at the same time; passing it on is fine.
package struct Frame: @unchecked Sendable {
    private let box: FrameBox

    var raw: UnsafeMutablePointer<zmq_msg_t> { box.raw }

    /// An empty frame, to receive into.
    package init() {
        box = FrameBox.make()
        zmq_msg_init(box.raw)
    }

    /// A frame of `count` bytes that are not initialized yet.
    package init(count: Int) {
        box = FrameBox.make()
        let result = zmq_msg_init_size(box.raw, count)
        // zmq_msg_init_size(3) fails with ENOMEM only.
        precondition(result == 0, "out of memory for a frame of \(count) bytes")
    }

    /// A frame with the content of `bytes`.
    package init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count)
        unsafeMutableBytes.copyMemory(from: bytes)
    }

    /// A frame with the content of `bytes`.
    package init(copying bytes: [UInt8]) {
        self.init(count: bytes.count)
        bytes.withUnsafeBytes { unsafeMutableBytes.copyMemory(from: $0) }
    }

    /// Another frame with the same content; long content is shared and counted by libzmq, not copied.
    package func sharedCopy() -> Frame {
        let copy = Frame()
        share(with: copy)
        return copy
    }

    /// Gives `other` the same content; long content is shared and counted by libzmq, not copied.
    package func share(with other: Frame) { zmq_msg_copy(other.raw, raw) }

    /// Bytes of content.
    package var count: Int { zmq_msg_size(raw) }

    /// The content; valid while this value lives and is neither sent nor received into.
    package var unsafeMutableBytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: zmq_msg_data(raw), count: zmq_msg_size(raw))
    }

    /// The content; valid while this value lives and is neither sent nor received into.
    package var unsafeBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(unsafeMutableBytes) }

    /// A copy of the content.
    package var bytes: [UInt8] { [UInt8](unsafeBytes) }

    /// A property that a ZAP handler or the transport attached, as in "User-Id"; nil where there is none.
    package func metadata(_ name: String) -> String? {
        zmq_msg_gets(raw, name).map { String(cString: $0) }
    }
}

/// Holds a `zmq_msg_t` in its own allocation, at an address that never changes: libzmq keeps up to 33 bytes of content inside
/// it, and a pointer into a copy on the stack would dangle.
private final class FrameBox: ManagedBuffer<Void, zmq_msg_t> {
    static func make() -> FrameBox {
        unsafeDowncast(create(minimumCapacity: 1) { _ in }, to: FrameBox.self)
    }

    var raw: UnsafeMutablePointer<zmq_msg_t> { withUnsafeMutablePointerToElements { $0 } }

    deinit { zmq_msg_close(raw) }
}
