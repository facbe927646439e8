/// A point in the log of writes of a replica set. It grows with each write, before anybody can see that one.
package struct ClusterTime: Hashable, Sendable {
    let value: UInt64

    package init(_ value: UInt64) { self.value = value }
}

extension ClusterTime: Comparable {
    package static func < (left: ClusterTime, right: ClusterTime) -> Bool { left.value < right.value }
}

extension Batch {
    /// The time of the reply, if no write was under way then: every write that had begun was done, and a majority had it. To be asked of
    /// a query with read concern `.majority`, as only then the reply says how far the majority is.
    ///
    /// Two replies with the same quiet time say that nothing at all was written between them, and whatever was read after the
    /// first one is what would be read after the second. Nil also where the database tells no such times: it is no replica set.
    package var quietTime: ClusterTime? {
        guard let newest = clusterTime, let committed = replyView.find("operationTime")?.timestamp, newest == ClusterTime(committed)
        else { return nil }
        return newest
    }

    /// The time of the reply. If it is the quiet time of an earlier reply, nothing was written since. Nil where the database tells no such times.
    package var clusterTime: ClusterTime? {
        replyView.find("$clusterTime")?.document?.find("clusterTime")?.timestamp.map(ClusterTime.init)
    }
}
