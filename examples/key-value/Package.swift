// swift-tools-version: 6.2
import PackageDescription

// A service of another team: it builds on the checkout through nothing but its products.
let package = Package(
    name: "key-value",
    dependencies: [.package(name: "orderwire", path: "../..")],
    targets: [
        // Generated from protos/ by the two commands in docs/code-generation.md.
        .target(
            name: "CKeyValue", dependencies: [.product(name: "RPC", package: "orderwire")], publicHeadersPath: "."),
        .target(name: "ProtoKeyValue", dependencies: ["CKeyValue", .product(name: "RPC", package: "orderwire")]),
        .executableTarget(
            name: "kv-server", dependencies: ["ProtoKeyValue", .product(name: "RPCServer", package: "orderwire")]),
        .executableTarget(name: "kv", dependencies: ["ProtoKeyValue", .product(name: "RPCClient", package: "orderwire")]),
    ]
)
