import Protobuf
import RPC

/// Makes the calls of one run of the program: with the metadata that was asked for, and an account of where their time went.
struct CommandInvoker: CallInvoker {
    let channel: any CallInvoker
    let metadata: [(key: String, value: String)]
    /// Nil where nobody asked.
    let explanation: Explanation?

    func call<Request: Message, Response: Message>(
        _ method: MethodDescriptor<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response {
        var options = options
        options.metadata += metadata
        if let explanation {
            let others = options.onTimings
            options.onTimings = { timings in
                explanation.add(method.fullName, timings)
                others?(timings)
            }
        }
        return try await channel.call(method, request, options: options)
    }
}
