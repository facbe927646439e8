import ProtoShop
import RPCClient

// Lists the dearest products of a running server: hello-client [ENDPOINT [CATEGORY]]
let arguments = CommandLine.arguments
let channel = try Channel(to: arguments.count > 1 ? arguments[1] : "tcp://127.0.0.1:7400", name: "hello-client")
let catalog = Catalog.CatalogService.Client(channel)

let request = Catalog.ListProductsRequest(category: arguments.count > 2 ? arguments[2] : "", orderBy: "price desc")
let response = try await catalog.listProducts(request)
for product in response.products {
    print(product.id, product.name)
}
print("\(response.totalSize) products in all")
channel.close()
