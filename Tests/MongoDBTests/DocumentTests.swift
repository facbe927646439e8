import MongoDB
import Testing

@Suite struct DocumentTests {
    @Test func readsBackWhatWasAppended() throws {
        let document = Document { document in
            document.append("name", "Größe")
            document.append("units", 12)
        }
        #expect(try document.view.string("name") == "Größe")
        #expect(try document.view.int64("units") == 12)
    }
}
