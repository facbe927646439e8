/// Every limit of the shop: its number, and why it is that one.
enum Limits {
    // MARK: Names
    /// Product ids and idempotency keys, in bytes: room for a UUID with a prefix, small enough for an index key.
    static let maxIDLength = 64
    /// Product names, in bytes. The sort key, at most some times as long, is in two indexes.
    static let maxNameLength = 512
    /// Categories, in bytes, and text that is looked for in them.
    static let maxCategoryLength = 128
    /// Descriptions, in bytes. A page of 1,000 products stays below 8 MB, far from MongoDB's 16 MB.
    static let maxDescriptionLength = 4096

    // MARK: Collections
    /// What a page of the products, or of the queue of orders, may take in the database's memory. A settlement that finds one full writes
    /// it out with all old versions in it: a third of a second at the 10 MiB that it may take by default, as long as a page holds a whole
    /// small catalogue.
    static let maxPageBytes = 1 << 20

    // MARK: Amounts
    /// Pieces in stock. Sums over any number of products that a database can hold fit an int64.
    static let maxStock: Int64 = 1_000_000_000
    /// Pieces of one product in an order.
    static let maxQuantity: Int64 = 10_000
    /// Lines of an order: bounds the documents that one order makes a settlement write.
    static let maxLines = 100

    /// How long an adjustment of stock is remembered: far longer than anybody repeats a call.
    static let requestIDLifetime = Duration.seconds(30 * 24 * 3600)

    // MARK: Requests
    /// Largest request of methods that take an id or some numbers, with room for fields of later versions.
    static let maxSmallRequest = 4 << 10
    /// Largest UpdateProduct: a product with the longest texts, and the names of its fields, with room for fields of later versions.
    static let maxProductRequest = 16 << 10
    /// Largest ListProducts: the longest page token, category and prefix.
    static let maxListRequest = 32 << 10
    /// Ids of one BatchGetProducts: what a page may hold.
    static let maxBatchGet = 1000
    /// Largest BatchGetProducts: 1,000 ids take less than 66 KB, and somewhat more of them are to hear what is wrong.
    static let maxBatchGetRequest = 128 << 10
    /// Largest SubmitOrder: 100 lines take less than 10 KiB; repeated products are merged, so there may be more.
    static let maxOrderRequest = 64 << 10
    /// Largest AckCompletions: 10,000 numbers of at most 10 bytes.
    static let maxAcknowledgementRequest = 128 << 10
    /// Products of one import call: a transaction of this size takes tens of milliseconds.
    static let maxImportBatch = 1000
    /// Import calls that share a transaction: enough to share what a commit costs, and few enough for the database to answer in
    /// a fraction of its timeout.
    static let maxGatheredImports = 4
    /// Bytes of the import calls that share a transaction.
    static let maxGatheredImportBytes = 4 << 20
    /// Products of an import for which an empty catalogue does without its indexes until all are stored: fewer take some seconds either way.
    static let minBulkLoad: Int64 = 100_000
    /// A bulk load is over when no call of a large import has come for this long. A client that only pauses finds the import slower
    /// afterwards. Servers that had no such call themselves wait once more as long, lest a busy machine's pause looks like the end.
    static let bulkLoadSilence = Duration.seconds(2)
    /// A reading of the catalogue's stamp that is younger most likely holds: whoever changes the catalogue and hears of it needs longer.
    static let likelyUnchanged = Duration.milliseconds(2)
    /// Refused fields that are reported at once. Beyond it, more tell nobody more.
    static let maxViolations = 100
    /// Products on a page where the request does not say.
    static let defaultPageSize = 10
    /// Products on a page; more are clamped to it.
    static let maxPageSize = 1000
    /// Different pages that are read by one command: with more of them, each costs the database hardly less.
    static let maxPagesTogether = 8
    /// Products on a page that is read together with others. A larger one takes longer than the command that it would save.
    static let maxPageSizeTogether: Int64 = 25
    /// Categories that a filter may match. With more values in `$in`, MongoDB stops merging index scans and sorts in memory.
    static let maxMatchingCategories = 200
    /// Products that may have gone from before a page since its token was made, as far as the answer whether another page follows relies on the
    /// number of products before it. Where more have gone, the last token leads to an empty page.
    static let unseenRemovals: Int64 = 1000
    /// Longest page token that is looked at, in bytes: the longest sort key, in base64, with room to spare.
    static let maxPageTokenLength = 8192
    /// Keys that one query passes over: some tens of milliseconds, where it has to merge many categories, too.
    static let maxSkip: Int64 = 20_000
    /// Keys that a page's own query passes over. For more of them the way is gone before, so that where it leads can be remembered: that costs
    /// two small queries, less than as many keys.
    static let maxUnlearnedSkip: Int64 = 200
    /// Changes of the catalogue that its document tells of: with fewer between two looks at it, a server can follow them all.
    static let maxToldChanges: Int64 = 32
    /// Products of a change that is told.
    static let maxToldMoves = 8
    /// Bytes of the keys of a change that is told. With `maxToldChanges` the document has at most some 70 KB, usually 10.
    static let maxToldBytes = 2048
    /// Changes that a server knows: some times those told, for lists that are asked for less often. At most some megabytes, usually 0.3.
    static let maxRememberedChanges = 1024
    /// Lists of which ranks and totals are remembered: four orders of some hundred categories.
    static let maxRememberedLists = 2048
    /// Ranks of one list: in a list of a million products no page is more than some thousand keys from a remembered one.
    static let maxRanksOfList = 256
    /// Bytes of the answered pages that are remembered while nothing is written: some hundred to a thousand usual pages.
    static let maxRememberedPageBytes = 4 << 20
    /// Requests for pages of which is known that they were made lately: many times as many as there is room for their
    /// answers, so that a thousand others between two requests for a page rarely hide the first. 512 KB.
    static let tracesOfPages = 65_536
    /// Ranks of all lists: at the usual 50 bytes of a sort key about 3 MB.
    static let maxRememberedRanks = 32_768
    /// Orders in another state than the one that is asked for that a page passes over at most, before it ends early: some
    /// milliseconds' work.
    static let maxOrdersPassedOver = 2000
    /// Orders that are read at once, at least, while orders in other states are passed over.
    static let ordersReadAtOnce = 250
    /// Lines of all orders on a page: it ends early rather than be larger than a response may be, 8 MB.
    static let maxLinesOfPage = 20_000
    /// Settlements that the results of a page are read from: each has up to 1,000 rows, of which a page may need one.
    static let maxSettlementsOfPage = 100
    /// Orders that one RequeueOrders names.
    static let maxRequeued = 1000
    /// Orders that are put back by one statement: some milliseconds' work, and in time on a busy database, too.
    static let requeuedAtOnce = 200
    /// Largest RequeueOrders: 1,000 ids of 26 bytes, and somewhat more of them are to hear what is wrong.
    static let maxRequeueRequest = 64 << 10
    /// Seconds since 1970 that a Timestamp may have: the years 1 to 9999.
    static let timestampSeconds: ClosedRange<Int64> = -62_135_596_800...253_402_300_799
    /// Completions in one answer of ListCompletions.
    static let maxCompletions = 1000
    static let defaultCompletions = 100
    /// Sequence numbers in one acknowledgement.
    static let maxAcknowledgements = 10_000
    /// Longest WaitOrder. A client that wants more asks again.
    static let maxWait = Duration.seconds(60)
    static let defaultWait = Duration.seconds(10)

    // MARK: Database
    /// What the database may spend on one operation of a call. It stops before the socket's 2 s are over, so that the
    /// connection stays usable.
    static let maxQueryTime = Duration.milliseconds(1500)
    /// What one transaction of the background may take.
    static let maxTransactionTime = Duration.seconds(10)
    /// A connection that fails after this has got no answer (`Timeouts.calls.socket`): its mongod stands still, or is cut off. One
    /// that breaks fails sooner, though libmongoc may look for the server for 1 s before it tries once more, and breaks again.
    static let silenceOfDatabase = Duration.milliseconds(1_300)
    /// One call tries whether the database is back, for no longer than this: longer than its timeouts take.
    static let probeTime = Duration.seconds(5)
    /// When a caller may try again after the database was away.
    static let databaseRetryDelay = Duration.milliseconds(500)

    // MARK: Checks
    /// Products that a check reads at once: some milliseconds, and less than a megabyte without their descriptions.
    static let checkedAtOnce = 2000
    /// Categories whose counts a check looks at in one transaction, and the products after which it takes no more: some 0.2 s, or a second
    /// for a million products of one category. A transaction ends after 5 s.
    static let categoriesAtOnce = 1000
    static let countedAtOnce: Int64 = 250_000
    /// Findings that a check lists; the others are counted. Beyond it, more tell nobody more.
    static let maxFindings = 1000

    // MARK: Accepting
    /// Orders that have to wait for an insert to begin beside one that is under way. An insert costs the database as much as twenty orders
    /// in it, so smaller ones are worth less than their cost.
    static let ordersForAnotherInsert = 64
    /// How long orders gather after an insert of fewer than that: some more than an insert takes, so that there are half as many.
    static let insertPause = Duration.milliseconds(4)
    /// Inserts until it is tried again whether a pause brings calls: in the meantime it cost less than a twentieth of their time.
    static let insertsWithoutPause = 32

    // MARK: Settlement
    /// Documents that one settlement transaction writes: large enough to share the cost of a commit, small enough to commit
    /// in some tens of milliseconds.
    static let maxSettlementWrites = 1000
    /// Products of which the settler remembers price and stock: some megabytes.
    static let maxKnownProducts = 50_000
    /// Tries of a single order before it is parked.
    static let maxSettlementTries = 3
    /// How long a settler keeps its lease without renewing it. Another one takes over within this and a look after a crash: less than
    /// 2 s.
    static let leaseDuration = Duration.milliseconds(1500)
    /// The longest lease of a settler whose settlements take so long: longer than a transaction may take.
    static let maxLeaseDuration = Duration.seconds(12)
    /// How often the lease is renewed: two renewals may fail before it is lost.
    static let leaseRenewal = Duration.milliseconds(500)
    /// A lease that nobody has renewed for this long by a standby's own clock is nobody's, whatever the database's clock says.
    static let leaseSilence = Duration.seconds(3)
    /// How often a standby looks at the lease: how soon it goes on where a settler has given it back.
    static let standbyPoll = Duration.milliseconds(100)
    /// How often an idle settler looks for orders that other servers accepted.
    static let settlerPoll = Duration.milliseconds(500)
    /// How often the settlement log is polled while somebody waits for it and the settler may be on another server.
    static let logPoll = Duration.milliseconds(75)
    /// How long those who follow the log wait for a majority to have what was just settled: longer than the database's own interval for
    /// its journal, 100 ms, and short beside all that their threads have to do in time.
    static let majorityPatience = Duration.milliseconds(150)

    // MARK: Backlog
    /// How long what waits to be settled may take, where nobody says otherwise: longer than callers usually wait, and short enough to be
    /// caught up with.
    static let maxBacklog = Duration.seconds(60)
    /// Orders that may wait whatever is known about the settler: less than a minute's work for one that settles a thousand a second,
    /// and what comes in within a second at most, until the first measurement.
    static let minBacklog: Int64 = 50_000
    /// How soon a measurement of the settling rate has replaced those before it.
    static let settlingRateMemory = Duration.seconds(10)
    /// When a caller may try again whose order was one too many.
    static let backlogRetryDelay = Duration.milliseconds(100)...Duration.seconds(5)
    /// How often the sequence is looked at while orders wait.
    static let backlogLook = Duration.milliseconds(250)
    /// How often the queue is counted while orders wait, at most; and how much longer it rests than it counted, as 100,000 orders take
    /// some 50 ms.
    static let backlogCount = Duration.seconds(1)
    static let backlogCountRest = 50
    /// When it is counted again after counting failed.
    static let backlogCountPatience = Duration.seconds(10)

    // MARK: Retention
    /// How long final orders and their results are kept, where nobody says otherwise. Nobody repeats a call for that long.
    static let retention = Duration.seconds(30 * 24 * 3600)
    /// How often it is looked for what has been kept long enough.
    static let retentionLook = Duration.seconds(60)
    /// Settlements that are forgotten at once: up to 1,000 orders each.
    static let forgottenAtOnce = 4

    // MARK: Notification
    /// Completions that a member of a group holds without having acknowledged them: enough to keep it busy over the way there and
    /// back at a hundred thousand a second, and less than a quarter of what its channel's pipe takes.
    static let notificationWindow = 1024
    /// Completions that one of several members holds at first: what a slow one keeps from the others for a while, and what a quick
    /// one doubles with each way there and back.
    static let firstShare = 16
    /// Completions of a group that are read from the log before a member has room for them; then reading waits.
    static let completionsReadAhead = 1024
    /// A completion that is not acknowledged for this long goes to another member of its group.
    static let acknowledgementTimeout = Duration.seconds(15)
    /// A member that has called nothing for this long is taken for stopped; clients of ours call once a second.
    static let memberSilence = Duration.seconds(5)
    /// How long a group stays with a server that does not renew it: what members wait, at most, when that one crashes and they find
    /// another one.
    static let groupLease = Duration.seconds(2)
    /// How often servers renew their groups: three renewals may fail.
    static let groupRenewal = Duration.milliseconds(500)
    /// How often a group's mark is stored: what a killed server sends twice is what was acknowledged in this time, at least.
    static let markInterval = Duration.milliseconds(250)
    /// Numbers that a group has passed over, of other callers' orders, before its mark is stored for them alone.
    static let passedBeforeStoring: Int64 = 10_000
    /// Settlement documents that are read at once: up to 1,000 rows each.
    static let logBatch = 4
    /// WaitOrder calls that are parked at once in a server.
    static let maxWaiters = 10_000
}
