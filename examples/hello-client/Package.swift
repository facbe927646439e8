// swift-tools-version: 6.2
import PackageDescription

// A package of another team: it uses the checkout as a library, through nothing but its products.
let package = Package(
    name: "hello-client",
    dependencies: [.package(name: "orderwire", path: "../..")],
    targets: [
        .executableTarget(
            name: "hello-client",
            dependencies: [
                .product(name: "RPCClient", package: "orderwire"),
                .product(name: "ProtoShop", package: "orderwire"),
            ],
            path: "Sources")
    ]
)
