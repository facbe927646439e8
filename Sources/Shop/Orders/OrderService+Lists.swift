import MongoDB
import ProtoShop
import RPC

/// Lists of a caller's orders, and what is parked.
extension OrderService {
    func list(_ request: Orders.ListOrdersRequest, _ context: CallContext) throws(RPCError) -> Orders.ListOrdersResponse {
        let request = try OrderPageRequest(request, by: context.identity.name, tokens: tokens)
        let page = try page(request, before: context.deadline)
        return Orders.ListOrdersResponse(orders: page.orders.map(\.order), nextPageToken: token(page.next, request))
    }

    func listParked(
        _ request: Orders.ListParkedOrdersRequest, _ context: CallContext
    ) throws(RPCError) -> Orders.ListParkedOrdersResponse {
        let request = try OrderPageRequest(request, by: context.identity.name, tokens: tokens)
        let page = try page(request, before: context.deadline)
        let orders = page.orders.map { item in
            Orders.ParkedOrder(order: item.order, reason: item.parking?.reason ?? "", parkTime: item.parking?.time.timestamp)
        }
        return Orders.ListParkedOrdersResponse(orders: orders, nextPageToken: token(page.next, request))
    }

    func requeue(_ request: Orders.RequeueOrdersRequest, _ context: CallContext) throws(RPCError) -> Orders.RequeueOrdersResponse {
        let count = try ParkedOrders(database: database, orders: reader.orders)
            .requeue(RequeueRequest(request), by: context.identity.name, before: context.deadline)
        if count > 0 { submit.didAccept() }
        return Orders.RequeueOrdersResponse(requeuedCount: count)
    }

    private func page(_ request: OrderPageRequest, before deadline: Deadline) throws(RPCError) -> OrderListing.Page {
        try database.perform(.read, before: deadline) { client throws(MongoError) in
            try OrderListing(reader: reader).page(request, client, before: deadline)
        }
    }

    private func token(_ next: OrderPosition?, _ request: OrderPageRequest) -> String {
        next.map { tokens.seal($0, in: request.list) } ?? ""
    }
}
