public import Protobuf

/// A method whose types are not known where it is called: JSON goes in, JSON comes out. For programs that let a person
/// choose a method by its name.
public struct AnyMethod: Sendable {
    /// Full name, as in "orderwire.catalog.v1.CatalogService/ListProducts".
    public let fullName: String
    /// Whether a call may be repeated.
    public let idempotency: Idempotency
    private let read: @Sendable (String) throws(JSONDecodingError) -> AnyCall

    /// The method without its types.
    public init<Request: Message, Response: Message>(_ method: MethodDescriptor<Request, Response>) {
        fullName = method.fullName
        idempotency = method.idempotency
        read = { json throws(JSONDecodingError) in
            let request = try Request(jsonString: json)
            return AnyCall { invoker, options, form throws(RPCError) in
                let response = try await invoker.call(method, request, options: options)
                do throws(EncodingError) {
                    return try response.jsonString(options: form)
                } catch {
                    throw RPCError(
                        .internalError, reason: "MALFORMED_RESPONSE",
                        "the response has no form in JSON: \(error.field): \(error.reason)")
                }
            }
        }
    }

    /// A call with the request that `json` is in ProtoJSON.
    public func call(_ json: String) throws(JSONDecodingError) -> AnyCall { try read(json) }
}

/// A call that was not made yet, of a method whose types are not known here.
public struct AnyCall: Sendable {
    fileprivate let make: @Sendable (any CallInvoker, CallOptions, JSONOptions) async throws(RPCError) -> String

    /// Makes the call, and returns the response in ProtoJSON.
    public func run(_ invoker: any CallInvoker, options: CallOptions, form: JSONOptions = .init()) async throws(RPCError) -> String {
        try await make(invoker, options, form)
    }
}
