import MongoDB
import ProtoRuntime
import ProtoShop
import RPC

/// Orders as callers see them. The identity of the call decides which.
struct OrderService: Orders.OrderService.Handlers {
    let database: ShopDatabase
    let reader: OrderReader
    let tokens: TokenSeal
    let submit: SubmitOrders
    let waiters: OrderWaiters
    let notifier: Notifier
    /// Whether groups and lists may have everybody's completions.
    let allowsAllCompletions: Bool

    /// Two batches at once: one gathers and decodes while the other waits for the database's journal. That is worth a second insert
    /// where many orders wait; few are better taken together when the first one has ended.
    var submitOrder: Handler<Orders.SubmitOrderRequest, Orders.SubmitOrderResponse> {
        .gathered(concurrency: 2, callsForAnother: Limits.ordersForAnotherInsert, maxRequestBytes: Limits.maxOrderRequest) { calls in
            submit(calls)
        }
    }

    /// Reads of one order go first, as acknowledgements do: they are short, and callers who know how things stand send less.
    var getOrder: Handler<Orders.GetOrderRequest, Orders.GetOrderResponse> {
        .unary(priority: .high, maxRequestBytes: Limits.maxSmallRequest) { (request, context) throws(RPCError) in
            try order(request, context)
        }
    }

    var waitOrder: Handler<Orders.WaitOrderRequest, Orders.WaitOrderResponse> {
        .parked(priority: .high, maxRequestBytes: Limits.maxSmallRequest) { call in wait(call) }
    }

    /// The settler cancels, as it alone decides; the call waits for it like `waitOrder`.
    var cancelOrder: Handler<Orders.CancelOrderRequest, Orders.CancelOrderResponse> {
        .parked(maxRequestBytes: Limits.maxSmallRequest) { call in cancel(call) }
    }

    var listOrders: Handler<Orders.ListOrdersRequest, Orders.ListOrdersResponse> {
        .unary(maxRequestBytes: Limits.maxSmallRequest) { (request, context) throws(RPCError) in try list(request, context) }
    }

    var listParkedOrders: Handler<Orders.ListParkedOrdersRequest, Orders.ListParkedOrdersResponse> {
        .unary(maxRequestBytes: Limits.maxSmallRequest) { (request, context) throws(RPCError) in try listParked(request, context) }
    }

    var requeueOrders: Handler<Orders.RequeueOrdersRequest, Orders.RequeueOrdersResponse> {
        .unary(maxRequestBytes: Limits.maxRequeueRequest) { (request, context) throws(RPCError) in try requeue(request, context) }
    }

    /// One at a time: see `Notifier.join`.
    var subscribe: Handler<Orders.SubscribeRequest, Orders.SubscribeResponse> {
        .unary(concurrency: 1, maxRequestBytes: Limits.maxSmallRequest) { (request, context) throws(RPCError) in try join(request, context) }
    }

    /// Together, so that each member's numbers are looked at once for all of them.
    var ackCompletions: Handler<Orders.AckCompletionsRequest, Orders.AckCompletionsResponse> {
        .gathered(priority: .high, maxRequestBytes: Limits.maxAcknowledgementRequest) { calls in acknowledge(calls) }
    }

    var listCompletions: Handler<Orders.ListCompletionsRequest, Orders.ListCompletionsResponse> {
        .unary(maxRequestBytes: Limits.maxSmallRequest) { (request, context) throws(RPCError) in try completions(request, context) }
    }
}

// MARK: - Looking at orders

extension OrderService {
    private func order(_ request: Orders.GetOrderRequest, _ context: CallContext) throws(RPCError) -> Orders.GetOrderResponse {
        try Self.checkOrderID(request.id)
        let found = try database.perform(.read, before: context.deadline) { client throws(MongoError) in
            try reader.find(ownedBy: [request.id: context.identity.name], client, before: context.deadline)
        }
        guard let order = found[request.id]?.order else { throw OrderReader.notFound }
        return Orders.GetOrderResponse(order: order)
    }

    private func wait(_ call: ServerCall<Orders.WaitOrderRequest, Orders.WaitOrderResponse>) {
        do throws(RPCError) {
            let time = try Self.waitTime(call.request.waitTime)
            try Self.checkOrderID(call.request.id)
            waiters.add(call.request.id, call.context, for: time) { result in
                switch result {
                case .success(let found): call.reply(Orders.WaitOrderResponse(order: found.order))
                case .failure(let error): call.fail(error)
                }
            }
        } catch {
            call.fail(error)
        }
    }

    private func cancel(_ call: ServerCall<Orders.CancelOrderRequest, Orders.CancelOrderResponse>) {
        let (id, context) = (call.request.id, call.context)
        do throws(RPCError) {
            try Self.checkOrderID(id)
            try database.perform(.write, before: context.deadline) { client throws(MongoError) in
                try reader.orders.askToCancel(id, ownedBy: context.identity.name, client, before: context.deadline)
            }
            submit.didAccept()
            waiters.add(id, context, for: Limits.maxWait) { result in
                switch result {
                case .success(let found) where [.fulfilled, .rejected].contains(found.order.state): call.fail(Self.isFinal(found.order))
                case .success(let found): call.reply(Orders.CancelOrderResponse(order: found.order))
                case .failure(let error): call.fail(error)
                }
            }
        } catch {
            call.fail(error)
        }
    }

    private static func isFinal(_ order: Orders.Order) -> RPCError {
        let state = order.state == .fulfilled ? "FULFILLED" : "REJECTED"
        return RPCError(.failedPrecondition, reason: "ORDER_FINAL", "the order is \(state); a final order stays as it is")
    }

    /// What can be no order's id need not be looked for.
    private static func checkOrderID(_ id: String) throws(RPCError) {
        var violations = Violations()
        if id.isEmpty { violations.add("id", "required") }
        try violations.check()
        guard OrderID.isValid(id) else { throw OrderReader.notFound }
    }

    private static func waitTime(_ time: WellKnown.Duration?) throws(RPCError) -> Duration {
        guard let time else { return Limits.defaultWait }
        var violations = Violations()
        let isInRange = (0...Limits.maxWait.components.seconds).contains(time.seconds) && (0..<1_000_000_000).contains(time.nanos)
        if !isInRange { violations.add("wait_time", "must be 0 to \(Limits.maxWait.components.seconds) s") }
        try violations.check()
        return min(.seconds(time.seconds) + .nanoseconds(Int64(time.nanos)), Limits.maxWait)
    }
}

// MARK: - Completions

extension OrderService {
    private func join(_ request: Orders.SubscribeRequest, _ context: CallContext) throws(RPCError) -> Orders.SubscribeResponse {
        var violations = Violations()
        Self.checkGroup(request.group, &violations)
        let filter = Self.filter(request.filter, &violations)
        if request.afterSequence < -1 { violations.add("after_sequence", "must be -1 (from now on) or more") }
        try violations.check()
        try checkAllowed(filter)
        let group = SubscriptionGroup(identity: context.identity.name, name: request.group, filter: filter)
        let membership = try notifier.join(
            group, start: request.afterSequence < 0 ? nil : request.afterSequence, skipsExpired: request.skipExpired,
            before: context.deadline)
        return Orders.SubscribeResponse(
            endpoint: membership.endpoint, token: membership.token, memberId: membership.id,
            ackedSequence: membership.lowMark)
    }

    private typealias AckCall = ServerCall<Orders.AckCompletionsRequest, Orders.AckCompletionsResponse>

    private func acknowledge(_ calls: [ServerCall<Orders.AckCompletionsRequest, Orders.AckCompletionsResponse>]) {
        /// Calls of one member are one acknowledgement.
        struct Member: Hashable {
            var group: String
            var id: String
        }
        var members: [Member: [AckCall]] = [:]
        for call in calls {
            do throws(RPCError) {
                let group = try Self.acknowledgedGroup(call)
                members[Member(group: group.id, id: call.request.memberId), default: []].append(call)
            } catch {
                call.fail(error)
            }
        }
        for (member, calls) in members {
            do throws(RPCError) {
                let low = try notifier.acknowledge(calls.flatMap(\.request.sequences), group: member.group, member: member.id)
                for call in calls { call.reply(Orders.AckCompletionsResponse(ackedSequence: low)) }
            } catch {
                for call in calls { call.fail(error) }
            }
        }
    }

    private static func acknowledgedGroup(_ call: AckCall) throws(RPCError) -> SubscriptionGroup {
        var violations = Violations()
        checkGroup(call.request.group, &violations)
        if call.request.memberId.isEmpty { violations.add("member_id", "required") }
        if call.request.sequences.count > Limits.maxAcknowledgements {
            violations.add("sequences", "must be at most \(Limits.maxAcknowledgements) numbers")
        }
        try violations.check()
        return SubscriptionGroup(identity: call.context.identity.name, name: call.request.group, filter: .unspecified)
    }

    private func completions(
        _ request: Orders.ListCompletionsRequest, _ context: CallContext
    ) throws(RPCError) -> Orders.ListCompletionsResponse {
        var violations = Violations()
        if request.afterSequence < 0 { violations.add("after_sequence", "must be at least 0") }
        if request.maxCount < 0 {
            violations.add("max_count", "must be 0 (for \(Limits.defaultCompletions)) to \(Limits.maxCompletions)")
        }
        let filter = Self.filter(request.filter, &violations)
        try violations.check()
        try checkAllowed(filter)
        let count = request.maxCount == 0 ? Limits.defaultCompletions : min(Int(request.maxCount), Limits.maxCompletions)
        let submitter = filter == .all ? nil : context.identity.name
        let after = request.afterSequence
        let (response, first) = try database.perform(.read, before: context.deadline) { client throws(MongoError) in
            let response = try read(after: after, submitter, count, client, before: context.deadline)
            // Asked after reading: what is there now was there before.
            return (response, try reader.settlements.firstSequence(client, before: context.deadline))
        }
        if after + 1 < first && !request.skipExpired { throw SettlementStore.expired(after: after, first: first) }
        return response
    }

    private func read(
        after sequence: Int64, _ submitter: String?, _ count: Int, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Orders.ListCompletionsResponse {
        // The end is read first: up to it, what the query does not return is not there.
        let end = max(sequence, try reader.settlements.lastSequence(client, before: deadline))
        var response = Orders.ListCompletionsResponse(lastSequence: sequence)
        while response.completions.count < count {
            let settlements = try reader.settlements.settlements(
                after: response.lastSequence, through: end, of: submitter, count: Limits.logBatch, client, before: deadline)
            let rows = settlements.flatMap(\.rows)
            let taken = rows.prefix(count - response.completions.count)
            response.completions += taken.map(\.completion)
            guard taken.count == rows.count else {
                response.lastSequence = taken.last?.sequence ?? response.lastSequence
                return response
            }
            guard settlements.count == Limits.logBatch, let last = settlements.last else {
                response.lastSequence = max(end, settlements.last?.last ?? 0)
                return response
            }
            response.lastSequence = last.last
        }
        return response
    }

    private static func checkGroup(_ name: String, _ violations: inout Violations) {
        if !Identity.isValid(name) { violations.add("group", "must follow the grammar \(Identity.grammar)") }
    }

    /// Unspecified means one's own.
    private static func filter(
        _ filter: Orders.CompletionFilter, _ violations: inout Violations
    ) -> Orders.CompletionFilter {
        switch filter {
        case .unspecified, .mine: return .mine
        case .all: return .all
        case .unrecognized(let number):
            violations.add("filter", "\(number) is not known; must be MINE or ALL")
            return .mine
        }
    }

    private func checkAllowed(_ filter: Orders.CompletionFilter) throws(RPCError) {
        guard filter == .all && !allowsAllCompletions else { return }
        throw RPCError(
            .permissionDenied, reason: "ALL_COMPLETIONS_NOT_ALLOWED", "this server gives each caller its own completions only",
            disposition: .notExecuted)
    }
}
