import Logging
import ProtoShop
import RPC
import RPCServer
import Testing

extension EndToEnd {
    /// `list`, `describe` and `call`, and what all client verbs take, against a server in this process: no shop is needed.
    @Suite struct AnyMethodTests {
        @Test func listNamesTheMethodsOfTheServerThatIsAsked() async throws {
            try await withServer { shell in
                let table = try await shell.run("list")
                #expect(table.lines.first?.split(separator: " ") == ["METHOD", "REPEATABLE", "DISPATCH"])
                let row = table.lines.first { $0.contains("/GetProduct ") }
                #expect(row?.split(separator: " ").dropFirst() == ["no", "side", "effects", "unary"], "\(table.output)")
                #expect(!table.output.contains("OrderService"), "which this server does not have")
                #expect(table.lines.allSatisfy { $0.count <= 80 })

                let csv = try await shell.run("list", "HealthService", "-o", "csv")
                #expect(csv.output.contains("\r\norderwire.runtime.v1.HealthService/Check,\(checkID),no side effects,unary,0,1,0,"), "\(csv.output)")
                let json = try await shell.json("list", "CatalogService", "-o", "json")
                #expect(json["methods"]?.count == 8 && json["fileDescriptorSet"] == nil)
                let unknown = try await shell.run("list", "OrderService")
                #expect(unknown.end == .exited(64) && unknown.errors.contains("no service is called 'OrderService'"))
            }
        }

        /// FNV-1a-32 of "orderwire.runtime.v1.HealthService/Check".
        private let checkID: UInt32 = 2686967443

        @Test(arguments: [
            (["describe", "GetProduct"], ["rpc orderwire.catalog.v1.CatalogService/GetProduct(GetProductRequest) returns (GetProductResponse) {",
                "  option idempotency_level = NO_SIDE_EFFECTS;", "message orderwire.catalog.v1.GetProductRequest {", "  // Id of the product. Required."]),
            (["describe", "Product"], ["  Money price = 4;", "  google.protobuf.Timestamp update_time = 7;"]),
            (["describe", "orderwire.runtime.v1.ServingStatus"], ["enum orderwire.runtime.v1.ServingStatus {", "  SERVING_STATUS_SERVING = 1;"]),
            (["describe", "StatsResponse"], ["  map<string, int64> refused_counts = 7;", "  repeated MethodStats methods = 10;"]),
            (["describe"], ["service orderwire.catalog.v1.CatalogService {", "service orderwire.runtime.v1.RuntimeService {"]),
        ])
        func describeShowsWhatTheProtoFilesSay(arguments: [String], lines: [String]) async throws {
            try await withServer { shell in
                let shown = try await shell.run(arguments)
                #expect(shown.end == .exited(0), "\(shown.errors)")
                let printed = Set(shown.lines.map(String.init))
                for line in lines { #expect(printed.contains(line), "\(line) in \(shown.output)") }
            }
        }

        @Test func describeKnowsWhatItDoesNotKnow() async throws {
            try await withServer { shell in
                let message = try await shell.json("describe", "Money", "-o", "json")
                #expect(message[0]?.string("kind") == "message" && message[0]?.string("name") == "orderwire.catalog.v1.Money")
                #expect(message[0]?["fields"]?[0]?.string("jsonName") == "currencyCode")
                let unknown = try await shell.run("describe", "Nothing", "-o", "json")
                #expect(unknown.end == .exited(64) && unknown.output == "")
                #expect(try JSON(unknown.errors)["error"]?.string("code") == "USAGE")
            }
        }

        @Test(arguments: [
            "orderwire.catalog.v1.CatalogService/GetProduct", "orderwire.catalog.v1.CatalogService.GetProduct", "CatalogService/GetProduct",
            "GetProduct",
        ])
        func callTakesShortNames(method: String) async throws {
            try await withServer { shell in
                let called = try await shell.json("call", method, "-d", #"{"id": "a"}"#)
                #expect(called["product"]?.string("id") == "a")
            }
        }

        @Test func callReadsItsRequestFromWhereItIsTold() async throws {
            try await withServer { shell in
                for input in ["@-", "@"] {
                    let called = try await shell.run("call", "GetProduct", "-d", input, "-o", "jsonl", input: "{\"id\": \"from input\"}\n")
                    #expect(called.output.hasPrefix(#"{"product":{"id":"from input","#) && called.lines.count == 1, "\(called.errors)")
                }
                for empty in [[], ["-d", ""], ["-d", " "]] {
                    #expect(try await shell.json(["call", "Check"] + empty).string("status") == "SERVING_STATUS_SERVING")
                }
                try await withTemporaryFolder { folder in
                    let missing = try await shell.run("call", "GetProduct", "-d", "@\(folder)/request.json")
                    #expect(missing.end == .exited(64) && missing.errors.contains("No such file"))
                }
            }
        }

        @Test(arguments: [
            ("GetProduct", #"{"id": 1}"#, "id: "), ("GetProduct", #"{"ID": "a"}"#, "ID: "), ("GetProduct", "{", "the text ends"),
            ("ListProducts", #"{"pageSize": "many"}"#, "pageSize: "), ("GetProdukt", "{}", "no method is called 'GetProdukt'"),
            ("getproduct", "{}", "orderwire.catalog.v1.CatalogService/GetProduct"),
        ])
        func whatIsNoRequestIsNotSent(method: String, json: String, message: String) async throws {
            // Nobody listens: it is refused here.
            let refused = try await Program.run(["call", method, "-d", json, "--server", ServerProcess.freeEndpoint()])
            #expect(refused.end == .exited(64) && refused.output == "" && refused.errors.contains(message), "\(refused.errors)")
        }

        @Test func failedCallsHaveTheirCodes() async throws {
            try await withServer { shell in
                let unknown = try await shell.run("call", "SubmitOrder")
                #expect(unknown.end == .exited(76) && unknown.errors.contains("UNIMPLEMENTED METHOD_NOT_FOUND"), "\(unknown.errors)")
                let late = try await shell.run("call", "ListProducts", "--timeout", "100ms", "-o", "json")
                #expect(late.end == .exited(68) && late.output == "")
                #expect(try JSON(late.errors)["error"]?.string("code") == "DEADLINE_EXCEEDED")
            }
        }

        @Test func metadataTravelsWithEveryVerb() async throws {
            try await withServer { shell in
                let pairs = ["--metadata", "tenant=blue", "--metadata", "note=a=b"]
                let get = try await shell.json(["products", "get", "x", "-o", "json"] + pairs)
                #expect(get["product"]?.string("name") == "tenant=blue,note=a=b")
                let call = try await shell.json(["call", "GetProduct"] + pairs)
                #expect(call["product"]?.string("name") == "tenant=blue,note=a=b")
            }
        }

        @Test func explainTellsWhereTheTimeWent() async throws {
            try await withServer { shell in
                let table = try await shell.run("products", "get", "x", "--explain")
                #expect(table.output.hasPrefix("ID"))
                let lines = table.errors.split(separator: "\n")
                #expect(lines.first == "CatalogService/GetProduct at \(shell.environment["ORDERWIRE_SERVER"] ?? ""), 1 try", "\(table.errors)")
                let stages = lines.dropFirst(2).map { $0.split(separator: " ").first }
                #expect(stages == ["round", "queued", "decoded", "handler", "database", "encoded", "on"])

                let json = try await shell.run("call", "GetProduct", "--explain", "-o", "json")
                let explained = try #require(try JSON(json.errors)["explain"])
                #expect(explained.string("method") == "orderwire.catalog.v1.CatalogService/GetProduct")
                for number in ["attempts", "roundTripMicroseconds", "queuedMicroseconds", "handlerMicroseconds", "databaseMicroseconds"] {
                    #expect(explained[number] != nil, "\(number)")
                }
                // A call that fails is explained, too.
                let late = try await shell.run("call", "ListProducts", "--timeout", "100ms", "--explain", "-o", "jsonl")
                #expect(late.end == .exited(68) && late.errors.contains(#"{"explain":"#), "\(late.errors)")
            }
        }

        /// Runs `body` beside a server of the catalogue's API that knows any product, by its metadata, and lists none in time.
        private func withServer(_ body: (Shell) async throws -> Void) async throws {
            let endpoint = ServerProcess.freeEndpoint()
            let server = try Server(configuration: .init(listen: [endpoint]), services: [AnyCatalog()], logger: Logger(label: "test"))
            try server.start()
            defer { server.shutdown() }
            try await body(Shell(endpoint))
        }
    }
}

/// Knows every product by the metadata it was asked with.
private struct AnyCatalog: Catalog.CatalogService.Handlers {
    var getProduct: Handler<Catalog.GetProductRequest, Catalog.GetProductResponse> {
        .unary { request, context throws(RPCError) in
            let name = context.metadata.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
            return Catalog.GetProductResponse(product: .init(id: request.id, name: name, category: "any"))
        }
    }

    var batchGetProducts: Handler<Catalog.BatchGetProductsRequest, Catalog.BatchGetProductsResponse> { .parked { _ in } }

    /// Is never answered.
    var listProducts: Handler<Catalog.ListProductsRequest, Catalog.ListProductsResponse> { .parked { _ in } }

    var importProducts: Handler<Catalog.ImportProductsRequest, Catalog.ImportProductsResponse> { .gathered(concurrency: 2) { _ in } }

    var updateProduct: Handler<Catalog.UpdateProductRequest, Catalog.UpdateProductResponse> { .parked { _ in } }

    var adjustStock: Handler<Catalog.AdjustStockRequest, Catalog.AdjustStockResponse> { .parked { _ in } }

    var deleteProduct: Handler<Catalog.DeleteProductRequest, Catalog.DeleteProductResponse> { .parked { _ in } }

    var checkCatalog: Handler<Catalog.CheckCatalogRequest, Catalog.CheckCatalogResponse> { .parked { _ in } }
}
