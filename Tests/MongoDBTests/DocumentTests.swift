import MongoDB
import Testing

@Suite struct DocumentTests {
    private let sample = Document { document in
        document.append("text", "Größe \u{1F600}")
        document.append("small", Int32(-7))
        document.append("large", Int64.max)
        document.append("literal", 12)
        document.append("ratio", 0.25)
        document.append("yes", true)
        document.append("at", BSONDate(millisecondsSince1970: 1_700_000_000_123))
        document.append("bytes", [0, 255, 1] as [UInt8])
        document.appendNull("nothing")
        document.document("price") { price in
            price.append("currency", "USD")
            price.document("deeper") { $0.append("units", 3) }
        }
        document.array("lines") { lines in
            lines.document { $0.append("product", "a") }
            lines.document { $0.append("product", "b") }
        }
        document.append("names", ["x", "", "y"])
    }

    @Test func readsBackEveryType() throws {
        let view = sample.view
        #expect(try view.string("text") == "Größe \u{1F600}")
        #expect(try view.int32("small") == -7)
        #expect(try view.int64("small") == -7)
        #expect(try view.int64("large") == .max)
        #expect(try view.int64("literal") == 12)
        #expect(try view.double("ratio") == 0.25)
        #expect(try view.bool("yes"))
        #expect(try view.date("at") == BSONDate(millisecondsSince1970: 1_700_000_000_123))
        #expect(try view.binary("bytes") == [0, 255, 1])
        let isNull = view.find("nothing")?.isNull
        #expect(isNull == true)
        #expect(try view.document("price").document("deeper").int64("units") == 3)
        #expect(try view.array("names").strings() == ["x", "", "y"])
        var products: [String] = []
        try view.array("lines").forEachDocument { (line) throws(MongoError) in products.append(try line.string("product")) }
        #expect(products == ["a", "b"])
    }

    @Test func walksFieldsInOrder() {
        var keys: [String] = []
        var fields = sample.view.fields()
        while let field = fields.next() { keys.append(field.key) }
        #expect(
            keys == [
                "text", "small", "large", "literal", "ratio", "yes", "at", "bytes", "nothing", "price", "lines", "names",
            ])
        var none = Document().view.fields()
        let hasMore = none.next() != nil
        #expect(!hasMore)
    }

    @Test("fields are found by their names in whatever order they are asked for")
    func findsFieldsInAnyOrder() throws {
        let document = Document { builder in
            builder.append("a", 1)
            builder.append("b", "text")
            builder.append("ab", 3)
            builder.document("c") { $0.append("a", 4) }
        }
        var fields = document.view.fields()
        let numbers = [try fields.int64("a"), try fields.int64("ab"), try fields.document("c").int64("a"), try fields.int64("ab"), try fields.int64("a")]
        #expect(numbers == [1, 3, 4, 3, 1])
        let next = fields.next()?.key
        #expect(next == "b")
    }

    @Test func aMissingOrMistypedFieldIsNamed() {
        let absent = sample.view.find("absent")?.string
        let mistyped = sample.view.find("text")?.int64
        let onlyAPrefix = sample.view.contains("tex")
        #expect(absent == nil && mistyped == nil && !onlyAPrefix)
        for message in [
            failure { () throws(MongoError) in _ = try sample.view.string("absent") }?.message,
            failure { () throws(MongoError) in _ = try sample.view.int64("absent") }?.message,
        ] {
            #expect(message?.contains("'absent'") == true)
        }
        #expect(failure { () throws(MongoError) in _ = try sample.view.int32("large") }?.kind == .malformedDocument)
    }

    @Test func aNULInsideAStringIsKept() throws {
        let document = Document { $0.append("text", "a\0b") }
        #expect(try document.view.string("text") == "a\0b")
    }

    @Test(arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xF5, 0x80, 0x80, 0x80]] as [[UInt8]])
    func bytesThatAreNotUTF8AreRefusedByName(bytes: [UInt8]) {
        let error = failure { () throws(MongoError) in
            _ = try Document { (document) throws(MongoError) in
                try bytes.withUnsafeBufferPointer { (bytes) throws(MongoError) in try document.append("name", utf8: bytes) }
            }
        }
        #expect(error?.kind == .invalidArgument)
        #expect(error?.message.contains("'name'") == true)
    }

    @Test func bytesThatAreUTF8AreTaken() throws {
        let text = Array("naïve \0".utf8)
        let document = try Document { (document) throws(MongoError) in
            try text.withUnsafeBufferPointer { (bytes) throws(MongoError) in try document.append("name", utf8: bytes) }
        }
        #expect(try document.view.string("name") == "naïve \0")
    }

    @Test func anArrayOfMoreThanAThousandKeepsItsOrder() throws {
        let numbers = (0..<1_500).map(Int64.init)
        let document = Document { $0.append("numbers", numbers) }
        #expect(try document.view.array("numbers").int64s() == numbers)
        var elements = try document.view.array("numbers").elements()
        var last = ""
        while let element = elements.next() { last = element.key }
        #expect(last == "1499")
    }

    @Test func bytesMakeAnEqualDocument() throws {
        let copy = try Document(bytes: sample.bytes)
        #expect(copy == sample)
        #expect(copy.byteCount == sample.bytes.count)
        #expect(Document(copying: sample.view) == sample)
        #expect(copy != Document())
    }

    @Test func brokenBytesAreRefused() {
        let bytes = sample.bytes
        for count in 0..<bytes.count {
            let error = failure { () throws(MongoError) in _ = try Document(bytes: Array(bytes.prefix(count))) }
            #expect(error?.kind == .malformedDocument)
        }
        var text = Document { $0.append("a", "xyz") }.bytes
        text[text.count - 3] = 0xFF
        #expect(failure { () throws(MongoError) in _ = try Document(bytes: text) }?.kind == .malformedDocument)
    }

    /// Any one byte changed: it is refused or read, and nothing beyond its end is touched.
    @Test func aChangedByteIsRefusedOrRead() {
        let bytes = sample.bytes
        for index in bytes.indices {
            for value: UInt8 in [0, 1, 2, 3, 4, 5, 8, 0x0B, 0x0C, 0x10, 0x7F, 0x80, 0xFF, bytes[index] &+ 1, bytes[index] &- 1] {
                var changed = bytes
                changed[index] = value
                do throws(MongoError) {
                    let document = try Document(bytes: changed)
                    #expect(document.bytes == changed)
                    var fields = document.view.fields()
                    while let field = fields.next() {
                        _ = (field.string, field.int64, field.double, field.bool, field.binary, field.date, field.isNull)
                        if let inner = field.document { _ = inner.contains("units") }
                    }
                } catch {
                    #expect(error.kind == .malformedDocument)
                }
            }
        }
    }

    @Test func aStringIsReadWhereItLies() throws {
        let text = try String(copying: sample.view.utf8("text"))
        #expect(text == "Größe \u{1F600}")
        let none = Document { $0.append("none", "") }
        let noneCount = try none.view.utf8("none").count
        #expect(noneCount == 0)
        #expect(failure { () throws(MongoError) in _ = try sample.view.utf8("small") }?.kind == .malformedDocument)
    }

    @Test func valuesAreCopiedFromOneDocumentToAnother() throws {
        let copy = Document { document in
            if let price = sample.view.find("price") { document.append("price", price) }
            if let at = sample.view.find("at") { document.append("moment", at) }
        }
        #expect(try copy.view.document("price").string("currency") == "USD")
        #expect(try copy.view.date("moment") == sample.view.date("at"))
    }

    @Test func aThrowingClosureLeavesNothingBehind() {
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            _ = try Document { (document) throws(Stop) in
                try document.document("a") { (_) throws(Stop) in throw Stop() }
            }
        }
    }
}
