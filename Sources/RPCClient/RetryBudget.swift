/// Bounds the retries that a server gets by what it answers: gRPC's retry throttling (gRFC A6). A failure takes a token,
/// a success gives a tenth of one back; at half the tokens and below, no call is tried again at this server. So a server that
/// refuses everything gets a few tries more than calls, and one that works gets at most a tenth more.
///
/// A lost connection takes one token, however many calls it ended: they failed by one event.
///
/// Pure.
struct RetryBudget: Equatable {
    static let maxTenths = 100
    private static let failureTenths = 10
    private static let successTenths = 1

    private(set) var tenths = maxTenths

    var allowsRetries: Bool { tenths > Self.maxTenths / 2 }

    /// There is nothing to give back: as good as always.
    var isFull: Bool { tenths == Self.maxTenths }

    mutating func succeed() { tenths = min(Self.maxTenths, tenths + Self.successTenths) }

    mutating func fail() { tenths = max(0, tenths - Self.failureTenths) }
}
