import EmbeddedMongoDB
import Glibc
import Testing
import TestSupport

@Suite struct EmbeddedMongodTests {
    @Test func startsNewAndStopsCleanly() throws {
        let mongod = try EmbeddedMongod.start()
        mongod.stop()
        #expect(!mongod.isRunning)
        #expect(access(mongod.dataDirectory, F_OK) != 0)
    }

    @Test func restartsOnItsDataAfterAKill() throws {
        let mongod = try EmbeddedMongod.start()
        let data = mongod.dataDirectory
        mongod.kill()
        let again = try EmbeddedMongod.start(dataDirectory: data)
        #expect(again.pid != mongod.pid)
        again.stop()
        mongod.discard()
    }
}
