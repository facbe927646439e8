internal import CProto

/// The text of a C string; empty where it is not set.
package func text(_ pointer: UnsafePointer<CChar>?) -> String {
    pointer.map { String(cString: $0) } ?? ""
}

/// The elements of a C array of pointers.
package func elements<Element>(
    _ array: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>?, _ count: Int
) -> [UnsafeMutablePointer<Element>] {
    UnsafeBufferPointer(start: array, count: count).compactMap { $0 }
}

/// `parent.name`, or `name` alone at the top.
package func qualified(_ parent: String, _ name: String) -> String {
    parent.isEmpty ? name : "\(parent).\(name)"
}
