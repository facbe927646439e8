/// W3C's trace context in text, "00-<trace id>-<parent id>-<flags>" (https://www.w3.org/TR/trace-context/).
package enum Traceparent {
    /// Bytes of version 00; later versions have at least as many.
    private static let length = 55

    /// Whether a receiver can use it. One that cannot be used is to be ignored: tracing fails no call.
    package static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= length, bytes.allSatisfy({ $0 < 0x80 }) else { return false }
        let version = bytes[0..<2]
        guard isHex(version), !version.elementsEqual("ff".utf8), isHex(bytes[53..<55]),
            isID(bytes[3..<35]), isID(bytes[36..<52]), [2, 35, 52].allSatisfy({ bytes[$0] == dash })
        else { return false }
        // Later versions may go on after a dash.
        return bytes.count == length || (!version.elementsEqual("00".utf8) && bytes[length] == dash)
    }

    private static let dash = UInt8(ascii: "-")
    private static let zero = UInt8(ascii: "0")

    /// Ids are not all zeros.
    private static func isID(_ digits: Slice<UnsafeRawBufferPointer>) -> Bool {
        isHex(digits) && !digits.allSatisfy { $0 == zero }
    }

    /// Digits and small letters only.
    private static func isHex(_ digits: Slice<UnsafeRawBufferPointer>) -> Bool {
        digits.allSatisfy { (zero...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) }
    }
}
