internal import Protobuf
internal import ProtoRuntime

/// A failure as the payload of a RESPONSE: `orderwire.runtime.v1.Status`, wire-compatible with `google.rpc.Status`.
extension RPCError {
    /// Who defines our reasons.
    package static let domain = "orderwire"

    private static let errorInfoURL = "type.googleapis.com/google.rpc.ErrorInfo"
    private static let badRequestURL = "type.googleapis.com/google.rpc.BadRequest"
    private static let retryInfoURL = "type.googleapis.com/google.rpc.RetryInfo"

    /// The payload. Text that protobuf cannot carry (NUL) is replaced.
    package func statusPayload() -> [UInt8] {
        do throws(EncodingError) {
            return try encodedStatus()
        } catch {
            var plain = RPCError(code, reason: reason, "the error's text could not be encoded: \(error.reason)", disposition: disposition)
            plain.retryDelay = retryDelay
            do throws(EncodingError) {
                return try plain.encodedStatus()
            } catch {
                // The code and disposition are in the header: a client can do without the payload.
                return []
            }
        }
    }

    private func encodedStatus() throws(EncodingError) -> [UInt8] {
        var details = [WellKnown.AnyMessage(
            typeUrl: Self.errorInfoURL,
            value: try Runtime.ErrorInfo(reason: reason, domain: Self.domain, metadata: metadata).serializedBytes())]
        if !fieldViolations.isEmpty {
            let violations = fieldViolations.map {
                Runtime.BadRequest.FieldViolation(field: $0.field, description: $0.description)
            }
            details.append(WellKnown.AnyMessage(
                typeUrl: Self.badRequestURL, value: try Runtime.BadRequest(fieldViolations: violations).serializedBytes()))
        }
        if let retryDelay {
            let delay = WellKnown.Duration(
                seconds: retryDelay.components.seconds, nanos: Int32(retryDelay.components.attoseconds / 1_000_000_000))
            details.append(WellKnown.AnyMessage(
                typeUrl: Self.retryInfoURL, value: try Runtime.RetryInfo(retryDelay: delay).serializedBytes()))
        }
        return try Runtime.Status(code: Int32(code.rawValue), message: message, details: details).serializedBytes()
    }

    /// Reads a failed RESPONSE. What the payload lacks, or cannot be read, is said in the message: the header alone
    /// already tells the outcome.
    package init(header: FrameHeader, payload: UnsafeRawBufferPointer) {
        // OK is no failure's code, whatever a server writes into a PROTOCOL_ERROR.
        let code = header.status == .ok ? StatusCode.unknown : header.status
        self.init(code, reason: "UNKNOWN", "the server sent no details", disposition: header.disposition)
        do throws(DecodingError) {
            let status = try Runtime.Status(serializedBytes: payload)
            if !payload.isEmpty { message = status.message }
            for detail in status.details { try read(detail) }
        } catch {
            message += " (error details unreadable: \(error.field): \(error.reason))"
        }
    }

    private mutating func read(_ detail: WellKnown.AnyMessage) throws(DecodingError) {
        switch detail.typeUrl {
        case Self.errorInfoURL:
            let info = try Runtime.ErrorInfo(serializedBytes: detail.value)
            reason = info.reason
            metadata = info.metadata
        case Self.badRequestURL:
            let badRequest = try Runtime.BadRequest(serializedBytes: detail.value)
            fieldViolations = badRequest.fieldViolations.map { FieldViolation(field: $0.field, description: $0.description) }
        case Self.retryInfoURL:
            let delay = try Runtime.RetryInfo(serializedBytes: detail.value).retryDelay
            retryDelay = delay.map { .seconds($0.seconds) + .nanoseconds(Int64($0.nanos)) }
        default:
            break
        }
    }
}
