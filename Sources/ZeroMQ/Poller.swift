internal import CZeroMQ

/// Waits until one of several sockets or file descriptors can be read. Belongs to one thread.
package struct Poller: ~Copyable {
    private var items: [zmq_pollitem_t] = []

    package init() {}

    /// Adds a socket, which must outlive the poller. Returns its index for `isReadable`.
    package mutating func add(_ socket: borrowing Socket) -> Int {
        items.append(zmq_pollitem_t(socket: socket.handle, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0))
        return items.count - 1
    }

    /// Adds a file descriptor. Returns its index for `isReadable`.
    package mutating func add(fileDescriptor: Int32) -> Int {
        items.append(zmq_pollitem_t(socket: nil, fd: fileDescriptor, events: Int16(ZMQ_POLLIN), revents: 0))
        return items.count - 1
    }

    /// Waits until something can be read or the time is over; nil waits without end. A signal ends the wait early.
    package mutating func wait(milliseconds: Int?) throws(ZeroMQError) {
        let result = zmq_poll(&items, Int32(items.count), milliseconds ?? -1)
        if result < 0 && zmq_errno() != EINTR { throw .last("poll") }
    }

    package func isReadable(_ index: Int) -> Bool { items[index].revents & Int16(ZMQ_POLLIN) != 0 }
}
