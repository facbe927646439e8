import Foundation
import Protobuf
import RPC
import Testing

/// What the wire document means, byte by byte: protos/vectors, which the Python client checks as well.
@Suite struct GoldenVectorTests {
    @Test func methodIDs() throws {
        struct Vector: Decodable { var fullName, id: String }
        for vector in try vectors("method-ids", of: Vector.self) {
            #expect(MethodID.hash(of: vector.fullName) == UInt32(vector.id, radix: 16), "\(vector.fullName)")
        }
    }

    @Test func headers() throws {
        struct Vector: Decodable {
            var name, frame: String
            var type, id, word16, defect: String?
            var flags, extLength: UInt16?
            var word24, word28: UInt32?
        }
        for vector in try vectors("headers", of: Vector.self) {
            let frame = try #require(bytes(vector.frame))
            switch frame.withUnsafeBytes({ bytes in Result { () throws(FrameHeader.Defect) in try FrameHeader(bytes) } }) {
            case .success(let header):
                #expect(vector.defect == nil, "\(vector.name)")
                #expect(header.type.nameOnTheWire == vector.type && header.flags == vector.flags, "\(vector.name)")
                #expect(header.extensionLength == vector.extLength && "\(header.id)" == vector.id, "\(vector.name)")
                #expect("\(header.word16)" == vector.word16, "\(vector.name)")
                #expect(header.word24 == vector.word24 && header.word28 == vector.word28, "\(vector.name)")
                #expect(header.bytes == Array(frame.prefix(FrameHeader.size)), "\(vector.name)")
            case .failure(let error):
                #expect("\(error)".prefix { $0 != "(" } == vector.defect ?? "none", "\(vector.name)")
                #expect(error.isAnswerable == !["tooShort", "badMagic"].contains(vector.defect))
            }
        }
    }

    @Test func tlvs() throws {
        struct Vector: Decodable {
            var name, tlvs: String
            var traceparent, defect: String?
            var metadata: [[String]]?
            var timings: [Int64]?
            var skipped: Int?
            var canonical: Bool?
        }
        for vector in try vectors("tlvs", of: Vector.self) {
            let tlvs = try #require(bytes(vector.tlvs))
            switch tlvs.withUnsafeBytes({ bytes in Result { () throws(HeaderExtension.Defect) in try HeaderExtension(bytes) } }) {
            case .success(let read):
                #expect(vector.defect == nil, "\(vector.name)")
                #expect(read.traceparent == vector.traceparent && read.skippedCount == vector.skipped, "\(vector.name)")
                #expect(read.metadata.map { [$0.key, $0.value] } == vector.metadata, "\(vector.name)")
                #expect(read.timings.map(\.microseconds) == vector.timings, "\(vector.name)")
                #expect((read.encoded() == tlvs) == vector.canonical, "\(vector.name)")
            case .failure(let error):
                #expect(error.nameInVectors == vector.defect, "\(vector.name)")
            }
        }
    }

    @Test func ages() throws {
        struct Request: Decodable { var sentAt, arrival, age: String }
        struct Vector: Decodable {
            var name: String
            var requests: [Request]
        }
        for vector in try vectors("ages", of: Vector.self) {
            var estimator = AgeEstimator()
            for request in vector.requests {
                let age = estimator.age(
                    sentAt: try #require(UInt64(request.sentAt)), arrival: try #require(UInt64(request.arrival)))
                #expect("\(age)" == request.age, "\(vector.name)")
            }
        }
    }

    @Test func failures() throws {
        struct Failure: Decodable {
            var code, reason, disposition: String
            var message: String?
            var metadata: [String: String]
            var violations: [[String]]
            var retryDelayMicroseconds: Int64?
        }
        struct Vector: Decodable {
            var name, payload: String
            var status, disposition: UInt32
            var error: Failure
            var canonical: Bool
        }
        for vector in try vectors("status", of: Vector.self) {
            var header = FrameHeader(type: .response)
            header.word28 = vector.status | vector.disposition << 8
            let payload = try #require(bytes(vector.payload))
            let error = payload.withUnsafeBytes { RPCError(header: header, payload: $0) }
            let expected = vector.error
            #expect("\(error.code)" == expected.code && error.reason == expected.reason, "\(vector.name)")
            #expect("\(error.disposition)" == expected.disposition && error.metadata == expected.metadata, "\(vector.name)")
            #expect(expected.message == nil || error.message == expected.message, "\(vector.name)")
            #expect(error.fieldViolations.map { [$0.field, $0.description] } == expected.violations, "\(vector.name)")
            #expect(error.retryDelay == expected.retryDelayMicroseconds.map { .microseconds($0) }, "\(vector.name)")
            if vector.canonical { #expect(error.statusPayload() == payload, "\(vector.name)") }
        }
    }

    // MARK: Reading them

    private struct File<Vector: Decodable>: Decodable { var vectors: [Vector] }

    private func vectors<Vector: Decodable>(_ name: String, of type: Vector.Type) throws -> [Vector] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let data = try Data(contentsOf: root.appending(path: "protos/vectors/\(name).json"))
        let vectors = try JSONDecoder().decode(File<Vector>.self, from: data).vectors
        #expect(!vectors.isEmpty)
        return vectors
    }

    private func bytes(_ hex: String) -> [UInt8]? {
        let digits = Array(hex.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        let bytes = stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16) }
        return bytes.count == digits.count / 2 ? bytes : nil
    }
}

extension FrameType {
    /// As in "HELLO_ACK".
    fileprivate var nameOnTheWire: String { "\(self)".replacing(/[A-Z]/) { "_" + $0.output }.uppercased() }
}

extension HeaderExtension.Defect {
    fileprivate var nameInVectors: String {
        switch self {
        case .cut: "cut"
        case .unknownCritical: "unknownCritical"
        case .malformed(let kind): "malformed" + "\(kind)".prefix(1).uppercased() + "\(kind)".dropFirst()
        }
    }
}

extension StageTimings {
    fileprivate var microseconds: [Int64] {
        [queued, decoded, handler, database, encoded].map { $0.components.seconds * 1_000_000 + $0.components.attoseconds / 1_000_000_000_000 }
    }
}
