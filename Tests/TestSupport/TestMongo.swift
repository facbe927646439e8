import EmbeddedMongoDB
import Glibc
import Synchronization

/// The one mongod of a test process: started on first use, gone with the process.
package enum TestMongo {
    /// Its MongoDB supports the fail points that tests inject errors with.
    package static let shared: EmbeddedMongod = {
        do {
            let mongod = try EmbeddedMongod.start(extraArguments: ["--setParameter", "enableTestCommands=1"])
            atexit { TestMongo.shared.discard() }
            return mongod
        } catch {
            fatalError("tests need a mongod: \(error)")
        }
    }()

    private static let databaseCount = Atomic(0)

    /// A database that no other test uses.
    package static func freshDatabase() -> (uri: String, name: String) {
        let number = databaseCount.add(1, ordering: .relaxed).newValue
        return (shared.uri, "test_\(getpid())_\(number)")
    }
}
