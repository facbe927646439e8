@testable import Terminal
import Testing

@Suite struct TableTests {
    private func table() -> Table {
        var table = Table([.init("ID"), .init("NAME", isElastic: true), .init("PRICE", isNumber: true)])
        table.append(["a-1", "A name of some length", "0.99 USD"])
        table.append(["a-20", "Short\n", "12.00 USD"])
        return table
    }

    @Test func columnsLineUp() {
        #expect(
            table().rendered() == """
                ID    NAME                       PRICE
                a-1   A name of some length   0.99 USD
                a-20  Short\\n                12.00 USD

                """)
    }

    @Test func anElasticColumnGivesWayOnANarrowTerminal() {
        let lines = table().rendered(width: 30).split(separator: "\n")
        #expect(lines.allSatisfy { $0.columns <= 30 })
        #expect(lines[1] == "a-1   A name of so…   0.99 USD")
    }

    @Test func headingsAreBoldWhereColourIsAllowed() {
        #expect(table().rendered(hasColour: true).hasPrefix("\u{1B}[1mID"))
    }

    @Test(arguments: [
        (0, 10, "load ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   0% 0/10"),
        (5, 10, "load ███████████████░░░░░░░░░░░░░░░  50% 5/10"),
        (10, 10, "load ██████████████████████████████ 100% 10/10"),
        (0, 0, "load ██████████████████████████████ 100% 0/0"),
    ]) func aProgressBarShowsItsShare(done: Int, total: Int, line: String) {
        #expect(ProgressBar.line(label: "load", done: done, total: total, note: "") == line)
    }
}
