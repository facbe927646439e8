import Foundation
import Testing

/// protoc-gen-orderwire as its users run it.
struct PluginTests {
    static let refusals: [(proto: String, message: String)] = [
        ("message M { optional int32 x = 1; }", "acme.v1.M.x: protobuf-c has no proto3 optional: use a message, a oneof, or let 0 mean unset"),
        ("message M { M m = 1; }", "acme.v1.M: recursive by way of m; protobuf-c unpacks such a message without any limit of depth"),
        ("message A { repeated B bs = 1; } message B { map<string, A> as = 1; }", "acme.v1.A: recursive by way of bs.as;"),
        ("message M {} service S { rpc R(M) returns (stream M); }", "acme.v1.S.R: streaming is not supported"),
        ("message M {} service S { rpc R(stream M) returns (M); }", "acme.v1.S.R: streaming is not supported"),
        ("message M { int32 base = 1; }", "acme.v1.M.base: protobuf-c has a struct field of that name itself"),
        ("message M { int32 a = 1 [json_name = \"b\"]; }", "acme.v1.M.a: json_name \"b\": protobuf-c keeps no JSON names of one's own"),
        (
            "message M { message AbEntry { int32 key = 1; int32 value = 2; } repeated AbEntry ab = 1; }",
            "acme.v1.M.ab: protobuf-c cannot tell it from a map: give acme.v1.M.AbEntry another name"
        ),
        (
            "import \"google/protobuf/struct.proto\"; message M { google.protobuf.Struct s = 1; }",
            "acme.v1.M.s: google.protobuf.Struct is not supported; of google.protobuf there are google.protobuf.Any"
        ),
    ]

    @Test(arguments: refusals)
    func refusesWhatProtobufCCannotDo(_ proto: String, _ message: String) throws {
        let result = try generate("syntax = \"proto3\"; package acme.v1; " + proto)
        #expect(result.status != 0)
        #expect(result.errors.contains(message), "\(result.errors)")
        #expect(result.files.isEmpty)
    }

    @Test func refusesProto2AndMissingPackages() throws {
        #expect(try generate("syntax = \"proto2\"; package acme.v1; message M {}").errors.contains("only syntax proto3 is supported"))
        #expect(try generate("syntax = \"proto3\"; message M {}").errors.contains("has no package"))
    }

    @Test func refusesTwoPackagesOfOneName() throws {
        let v2 = "syntax = \"proto3\"; package acme.pets.v2; message M {}"
        let v1 = "syntax = \"proto3\"; package acme.pets.v1; message M {}"
        let message = "acme.pets.v1 and acme.pets.v2 both become Pets: say namespace=acme.pets.v2:NAME"
        #expect(try generate(v1, and: v2).errors.contains(message))
        #expect(try generate(v1, and: v2, options: "namespace=acme.pets.v2:Pets2").files.count == 2)
    }

    @Test func refusesParametersItDoesNotKnow() throws {
        let proto = "syntax = \"proto3\"; package acme.v1; message M {}"
        #expect(try generate(proto, options: "nosuch=1").errors.contains("nosuch=1: unknown parameter"))
        #expect(try generate(proto, options: "generate=half").errors.contains("generate=half: is none of"))
    }

    @Test func writesForAPackageOfOnesOwn() throws {
        let proto = """
            syntax = "proto3"; package acme.pet_store.v1beta1;
            // Pet is a pet.
            message Pet { string name = 1; /* How big. */ Size size = 2; }
            enum Size { SIZE_UNSPECIFIED = 0; SIZE_VERY_BIG = 1; }
            // PetService keeps pets.
            service PetService {
              // Adopt gives one away.
              rpc Adopt(Pet) returns (Pet) { option idempotency_level = IDEMPOTENT; }
            }
            """
        let result = try generate(proto, options: "c_module=CPets,import=ProtoRuntime")
        #expect(result.errors.isEmpty)
        let swift = try #require(result.files["pets_test.pb.swift"])
        for line in [
            "internal import CPets", "public import Protobuf", "public import RPC", "public enum PetStore {}",
            "    /// Pet is a pet.", "        public var size: PetStore.Size = PetStore.Size()", "        case veryBig",
            "\"acme.pet_store.v1beta1.PetService/Adopt\", idempotency: .idempotent)", "            /// Adopt gives one away.",
            "Acme__PetStore__V1beta1__Pet.self", "acme__pet_store__v1beta1__pet__init",
        ] {
            #expect(swift.contains(line), "\(line)")
        }
        #expect(!swift.contains("ProtoRuntime"))
        let renamed = try generate(proto, options: "namespace=acme.pet_store.v1beta1:Pets,generate=messages")
        let messages = try #require(renamed.files["pets_test.pb.swift"])
        #expect(messages.contains("public enum Pets {}"))
        #expect(!messages.contains("RPC"))
    }

    /// It lies beside the test program.
    private static var plugin: URL {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appending(path: "protoc-gen-orderwire")
    }

    private func generate(
        _ proto: String, and other: String? = nil, options: String = ""
    ) throws -> (status: Int32, errors: String, files: [String: String]) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "orderwire-\(UUID().uuidString)")
        let output = folder.appending(path: "out")
        try FileManager.default.createDirectory(at: output, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try proto.write(to: folder.appending(path: "pets_test.proto"), atomically: true, encoding: .utf8)

        var names = ["pets_test.proto"]
        if let other {
            names.append("pets_test_2.proto")
            try other.write(to: folder.appending(path: names[1]), atomically: true, encoding: .utf8)
        }

        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/protoc")
        process.arguments = [
            "-I", folder.path(), "-I", "/usr/include", "--plugin=\(Self.plugin.path())", "--orderwire_out=\(output.path())",
            "--orderwire_opt=\(options)",
        ] + names
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        var files: [String: String] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: output.path()) {
            files[name] = try String(contentsOf: output.appending(path: name), encoding: .utf8)
        }
        return (process.terminationStatus, text, files)
    }
}
