import ProtoEcho
import ProtoRuntime
import ProtoShop
import Protobuf

/// Every message of protos/, and those of Google's that they use. A test compares the list with the files.
enum OurMessages {
    static let types: [any Message.Type] = [
        WellKnown.AnyMessage.self, WellKnown.Duration.self, WellKnown.Timestamp.self,
        Runtime.BadRequest.self, Runtime.BadRequest.FieldViolation.self, Runtime.CheckRequest.self,
        Runtime.CheckResponse.self, Runtime.DescribeRequest.self, Runtime.DescribeResponse.self, Runtime.ErrorInfo.self, Runtime.Hello.self, Runtime.HelloAck.self,
        Runtime.MethodInfo.self, Runtime.MethodStats.self, Runtime.Pong.self, Runtime.RetryInfo.self, Runtime.SessionLimits.self,
        Runtime.StatsRequest.self, Runtime.StatsResponse.self, Runtime.Status.self,
        Echo.EchoRequest.self, Echo.EchoResponse.self,
        Catalog.AdjustStockRequest.self, Catalog.AdjustStockResponse.self, Catalog.BatchGetProductsRequest.self,
        Catalog.BatchGetProductsResponse.self, Catalog.CatalogFinding.self, Catalog.CheckCatalogRequest.self,
        Catalog.CheckCatalogResponse.self, Catalog.DeleteProductRequest.self, Catalog.DeleteProductResponse.self,
        Catalog.GetProductRequest.self, Catalog.GetProductResponse.self, Catalog.ImportFailure.self,
        Catalog.ImportProductsRequest.self, Catalog.ImportProductsResponse.self, Catalog.ListProductsRequest.self,
        Catalog.ListProductsResponse.self, Catalog.Money.self, Catalog.Product.self, Catalog.UpdateProductRequest.self,
        Catalog.UpdateProductResponse.self,
        Orders.AckCompletionsRequest.self, Orders.AckCompletionsResponse.self, Orders.CancelOrderRequest.self,
        Orders.CancelOrderResponse.self, Orders.Completion.self, Orders.ListOrdersRequest.self, Orders.ListOrdersResponse.self,
        Orders.ListParkedOrdersRequest.self, Orders.ListParkedOrdersResponse.self, Orders.ParkedOrder.self,
        Orders.RequeueOrdersRequest.self, Orders.RequeueOrdersResponse.self,
        Orders.GetOrderRequest.self, Orders.GetOrderResponse.self, Orders.ListCompletionsRequest.self,
        Orders.ListCompletionsResponse.self, Orders.Order.self, Orders.OrderLine.self, Orders.SubmitOrderRequest.self,
        Orders.SubmitOrderResponse.self, Orders.SubscribeRequest.self, Orders.SubscribeResponse.self,
        Orders.WaitOrderRequest.self, Orders.WaitOrderResponse.self,
    ]
}
