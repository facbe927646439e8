// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target of this package: Swift 6 mode, no warning left behind.
let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

/// The way of a call through the client: its async functions run where their caller runs, as each change of executor costs a look
/// through the task's records.
let callPath = strict + [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]

let package = Package(
    name: "orderwire",
    products: [
        .executable(name: "orderwire", targets: ["orderwire"]),
        .executable(name: "protoc-gen-orderwire", targets: ["protoc-gen-orderwire"]),
        // For generated code of one's own: what it mentions, in Swift and in C.
        .library(name: "RPC", targets: ["RPC", "Protobuf", "ProtoRuntime", "CProto"]),
        .library(name: "RPCServer", targets: ["RPCServer"]),
        .library(name: "RPCClient", targets: ["RPCClient"]),
        .library(name: "ProtoShop", targets: ["ProtoShop"]),
        .library(name: "ShopClient", targets: ["ShopClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        // The C libraries: a module map and a shim each.
        .systemLibrary(name: "CZeroMQ"),
        .systemLibrary(name: "CMongoC", pkgConfig: "libmongoc-1.0"),
        .systemLibrary(name: "CProtobufC"),
        // Linux calls that the Glibc module does not show.
        .systemLibrary(name: "CLinux"),

        // Their wrappers, each the only importer of its library.
        .target(name: "ZeroMQ", dependencies: ["CZeroMQ", "CLinux"], swiftSettings: strict),
        .target(name: "CMongoSettings"),
        .target(
            name: "MongoDB", dependencies: ["CMongoC", "CMongoSettings"],
            // Views of a row and cursors do not outlive what they borrow from.
            swiftSettings: strict + [.enableExperimentalFeature("Lifetimes")]),
        .target(name: "Protobuf", dependencies: ["CProtobufC"], swiftSettings: strict),

        // Generated from protos/ by `make protos`.
        .target(name: "CProto", dependencies: ["CProtobufC"], path: "Sources/Proto/C", publicHeadersPath: ".",
            linkerSettings: [.linkedLibrary("protobuf-c")]),
        .target(name: "ProtoRuntime", dependencies: ["CProto", "Protobuf"], path: "Sources/Proto/Runtime", swiftSettings: callPath),
        .target(name: "ProtoEcho", dependencies: ["CProto", "Protobuf", "RPC"], path: "Sources/Proto/Echo", swiftSettings: callPath),
        .target(name: "ProtoShop", dependencies: ["CProto", "Protobuf", "RPC"], path: "Sources/Proto/Shop", swiftSettings: callPath),
        // What .proto files say, for the plugin and for `orderwire describe`.
        .target(name: "ProtoSchema", dependencies: ["CProto", "Protobuf"], swiftSettings: strict),
        .executableTarget(name: "protoc-gen-orderwire", dependencies: ["CProto", "Protobuf", "ProtoSchema"], swiftSettings: strict),

        // The RPC runtime.
        .target(name: "RPC", dependencies: ["Protobuf", "ProtoRuntime"], swiftSettings: callPath),
        .target(
            name: "RPCServer",
            dependencies: [
                "RPC", "ZeroMQ", "CLinux",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: strict),
        .target(
            name: "RPCClient",
            dependencies: ["RPC", "ZeroMQ", .product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: callPath),

        // The shop, a user of the runtime.
        .target(name: "EmbeddedMongoDB", dependencies: ["MongoDB", "CLinux"], swiftSettings: strict),
        .target(
            name: "Shop",
            dependencies: [
                "RPCServer", "ProtoShop", "MongoDB", "CLinux",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(name: "ShopClient", dependencies: ["RPCClient", "ProtoShop"], swiftSettings: strict),
        .target(name: "Terminal", swiftSettings: strict),
        .target(name: "CatalogGenerator", dependencies: ["RPC", "ProtoShop"], swiftSettings: strict),
        .executableTarget(
            name: "orderwire",
            dependencies: [
                "Terminal", "Shop", "ShopClient", "RPCServer", "RPCClient", "ProtoShop", "ProtoSchema", "EmbeddedMongoDB", "MongoDB",
                "CatalogGenerator", "ChinookData",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        // The Chinook music store: real data for the demo and the tests.
        .target(name: "ChinookData", dependencies: ["ProtoShop"], path: "examples/chinook/data", swiftSettings: strict),
        .executableTarget(
            name: "chinook-store",
            dependencies: [
                "ChinookData", "ShopClient", "Terminal",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "examples/chinook/store", swiftSettings: strict),
        .executableTarget(
            name: "bench-echo", dependencies: [
                "RPCServer", "RPCClient", "ProtoEcho", .product(name: "Logging", package: "swift-log"),
            ], path: "bench/echo", exclude: ["run"],
            swiftSettings: strict),
        .executableTarget(
            name: "bench-overload", dependencies: [
                "BenchClosedLoop", "RPCServer", "RPCClient", "ProtoEcho", "ProtoShop", .product(name: "Logging", package: "swift-log"),
            ], path: "bench/overload", exclude: ["run"],
            swiftSettings: strict),
        .target(name: "BenchClosedLoop", dependencies: ["RPC"], path: "bench/closed-loop", swiftSettings: strict),
        .executableTarget(
            name: "bench-pages", dependencies: ["BenchClosedLoop", "RPCClient", "ProtoRuntime", "ProtoShop"], path: "bench/pages", exclude: ["run"],
            swiftSettings: strict),
        .executableTarget(
            name: "bench-orders", dependencies: ["BenchClosedLoop", "RPCClient", "ShopClient", "ProtoShop"], path: "bench/orders",
            exclude: ["run", "measure.py"], swiftSettings: strict),
        .executableTarget(
            name: "bench-queries", dependencies: ["BenchClosedLoop", "RPCClient", "ProtoShop"], path: "bench/queries/driver",
            swiftSettings: strict),
        .target(name: "CAllocations", path: "bench/CAllocations", publicHeadersPath: "."),
        .executableTarget(
            name: "bench-codec", dependencies: ["CAllocations", "MongoDB", "ProtoEcho", "ProtoShop", "Protobuf", "Shop"],
            path: "bench/codec", swiftSettings: strict),

        // Tests. TestSupport holds what several of them need.
        .target(
            name: "TestSupport", dependencies: ["EmbeddedMongoDB", "MongoDB", "ProtoRuntime", "ProtoShop", "RPC"], path: "Tests/TestSupport",
            swiftSettings: strict),
        .testTarget(name: "ZeroMQTests", dependencies: ["ZeroMQ", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "MongoDBTests", dependencies: ["MongoDB", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "EmbeddedMongoDBTests", dependencies: ["EmbeddedMongoDB", "MongoDB", "TestSupport"], swiftSettings: strict),
        .target(name: "CEverything", dependencies: ["CProto"], path: "Tests/CEverything", publicHeadersPath: "."),
        .testTarget(
            name: "ProtobufTests", dependencies: ["CEverything", "Protobuf", "ProtoRuntime", "ProtoShop", "ProtoEcho"],
            exclude: ["interop.py"], swiftSettings: strict),
        .testTarget(name: "RPCTests", dependencies: ["RPC", "Protobuf", "ProtoRuntime"], swiftSettings: strict),
        // The other process in the runtime's tests: a server to stop and kill, a victim.
        .executableTarget(
            name: "runtime-peer", dependencies: ["RPCServer", "ProtoEcho", "ZeroMQ", .product(name: "Logging", package: "swift-log")],
            path: "Tests/RuntimePeer", swiftSettings: strict),
        .testTarget(
            name: "RuntimeTests",
            dependencies: ["RPCServer", "RPCClient", "ProtoEcho", "ZeroMQ", "EmbeddedMongoDB", "TestSupport", "runtime-peer"],
            swiftSettings: strict),
        .testTarget(
            name: "InteropTests",
            dependencies: ["RPCClient", "ProtoEcho", "ShopClient", "EmbeddedMongoDB", "TestSupport", "runtime-peer", "orderwire"], swiftSettings: strict),
        .testTarget(
            name: "ShopTests",
            dependencies: [
                "Shop", "RPCServer", "RPCClient", "ProtoEcho", "ProtoShop", "MongoDB", "EmbeddedMongoDB", "ChinookData", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(name: "TerminalTests", dependencies: ["Terminal"], swiftSettings: strict),
        .testTarget(name: "CatalogGeneratorTests", dependencies: ["CatalogGenerator"], swiftSettings: strict),
        .testTarget(name: "OrderwireTests", dependencies: ["orderwire", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "HouseTests", swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "orderwire", "chinook-store", "ShopClient", "RPCClient", "RPCServer", "ProtoShop", "ProtoRuntime", "MongoDB",
                "EmbeddedMongoDB", "ChinookData", "CatalogGenerator", "TestSupport", "CLinux", "ZeroMQ",
            ],
            swiftSettings: strict),
    ]
)

// With libFuzzer's instrumentation only, which fuzz/run asks for: without it there is nothing to link with.
if Context.environment["ORDERWIRE_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "fuzz", dependencies: ["CEverything", "Protobuf", "ProtoEcho", "ProtoRuntime", "ProtoShop", "RPC"], path: "fuzz",
            // gold fails on the sanitizers' debug information.
            exclude: ["run"], swiftSettings: strict, linkerSettings: [.unsafeFlags(["-use-ld=lld"])]))
}
