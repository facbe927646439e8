import TestSupport
import Testing

/// The real program, a real mongod, real sockets, the real client library.
///
/// One after another: each test has several processes of its own. No test ends before each server that it started has
/// accounted for all that it received.
@Suite(.serialized, .blocking, .nothingLost, .timeLimit(.minutes(5))) enum EndToEnd {}
