import TestSupport
import Testing

/// The client in clients/python, which was written from docs/wire-protocol.md, meets this server: its own tests start the
/// programs of this build.
@Suite(.serialized, .blocking, .timeLimit(.minutes(5)), .enabled(if: Python.isInstalled, "scripts/setup installs the Python tools"))
struct PythonClientTests {
    @Test(arguments: try Python.testModules)
    func itsTestsPass(module: String) throws {
        let (status, said) = try Python([module]).end()
        #expect(status == 0, "\(said)")
    }
}
