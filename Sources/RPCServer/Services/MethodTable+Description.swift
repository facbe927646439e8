import Protobuf
internal import ProtoRuntime
import RPC

extension MethodTable {
    /// All .proto files as a serialized `google.protobuf.FileDescriptorSet`, whose one field, number 1, they are.
    var fileDescriptorSet: [UInt8] {
        files.flatMap { file -> [UInt8] in
            let bytes = file.serializedBytes
            var length = UInt(bytes.count)
            var prefix: [UInt8] = [1 << 3 | 2]
            while length >= 0x80 {
                prefix.append(UInt8(truncatingIfNeeded: length) | 0x80)
                length >>= 7
            }
            return prefix + [UInt8(length)] + bytes
        }
    }
}

extension Runtime.MethodInfo {
    /// What clients are told of a method.
    init(_ method: MethodRegistration, _ limits: ServerLimits) {
        let policy = method.policy
        self.init(
            method: method.fullName, id: method.id, idempotency: .init(method.idempotency), dispatch: .init(policy),
            concurrency: policy.concurrency == .max ? 0 : Int32(clamping: policy.concurrency),
            maxBatchCalls: Int32(clamping: policy.maxCalls),
            maxBatchBytes: policy.maxBytes == .max ? 0 : Int64(policy.maxBytes),
            maxRequestBytes: Int64(min(method.maxRequestBytes ?? .max, limits.maxRequestBytes)), priority: policy.priority == .high ? .high : .normal)
    }
}

extension Runtime.Idempotency {
    fileprivate init(_ idempotency: Idempotency) {
        self = switch idempotency {
        case .unknown: .unspecified
        case .noSideEffects: .noSideEffects
        case .idempotent: .idempotent
        }
    }
}

extension Runtime.Dispatch {
    fileprivate init(_ policy: DispatchPolicy) {
        self = switch policy.gather {
        case .one: policy.mayPark ? .parked : .unary
        case .all: .gathered
        case .equalPayloads: .coalesced
        }
    }
}
