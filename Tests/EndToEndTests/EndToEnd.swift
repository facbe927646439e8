import TestSupport
import Testing

/// The real program, a real mongod, real sockets, the real client library.
///
/// One after another: each test has several processes of its own.
@Suite(.serialized, .blocking, .timeLimit(.minutes(5))) enum EndToEnd {}
