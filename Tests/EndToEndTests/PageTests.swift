import ChinookData
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

extension EndToEnd {
    /// The catalogue's pages on the Chinook data, over a restart of the server.
    @Suite struct PageTests {
        static let request = Catalog.ListProductsRequest(category: "rock", orderBy: "name", pageSize: 50)

        @Test func pagesAndTheirTokensSurviveARestart() async throws {
            let chinook = try Chinook.shared.get()
            try await withTemporaryFolder { folder in
                let database = ServerProcess.Database.embedded(folder: folder)
                let (begun, token) = try await ServerProcess.with(database) { server in
                    try await server.withChannel { channel in
                        try await channel.catalog.importAll(chinook.products)
                        try await checkCounts(channel.catalog)
                        return try await walk(3, from: "", channel.catalog)
                    }
                }
                #expect(begun.count == 150)
                // The first server was killed: nothing but what is on the disk helps the second one.
                try await ServerProcess.with(database) { server in
                    try await server.withChannel { channel in
                        let (rest, end) = try await walk(.max, from: token, channel.catalog)
                        #expect(end == "")
                        let byToken = (begun + rest).map(\.id)
                        #expect(try await channel.catalog.walkByNumber(Self.request).map(\.id) == byToken)
                        #expect(Set(byToken) == Set(chinook.products.filter { $0.category.contains("Rock") }.map(\.id)))
                        try await checkWholeList(chinook, channel.catalog)
                    }
                }
            }
        }

        private func checkCounts(_ catalog: Catalog.CatalogService.Client) async throws {
            let counts = [("", 3503), ("rock", 1309), ("ROCK", 1309), ("metal", 402), ("alternative", 372), (".*", 0)]
            for (category, count) in counts {
                for size in [10, 50, 1000] {
                    let page = try await catalog.listProducts(.init(category: category, pageSize: Int32(size)), options: patient)
                    #expect(page.totalSize == count, "\(category)")
                    #expect(page.pageCount == Int64((count + size - 1) / size), "\(category) by \(size)")
                    #expect(page.products.count == min(size, count))
                }
            }
        }

        /// Every product once, by number and by token, in the same order; many have the same name.
        private func checkWholeList(_ chinook: Chinook, _ catalog: Catalog.CatalogService.Client) async throws {
            let request = Catalog.ListProductsRequest(pageSize: 1000)
            let byNumber = try await catalog.walkByNumber(request)
            #expect(Set(byNumber.map(\.id)) == Set(chinook.products.map(\.id)))
            let (byToken, _) = try await walk(.max, from: "", catalog, request)
            #expect(byToken == byNumber)
            #expect(byNumber.count == 3503)
        }

        /// Walks so many pages by token, and returns their products and the token of the next page.
        private func walk(
            _ pages: Int, from token: String, _ catalog: Catalog.CatalogService.Client,
            _ request: Catalog.ListProductsRequest = PageTests.request
        ) async throws -> ([Catalog.Product], String) {
            var request = request
            request.pageToken = token
            var products: [Catalog.Product] = []
            var number = 0
            repeat {
                let page = try await catalog.listProducts(request, options: patient)
                products += page.products
                request.pageToken = page.nextPageToken
                number += 1
            } while number < pages && !request.pageToken.isEmpty
            return (products, request.pageToken)
        }
    }
}
