import Testing

@testable import Shop

@Suite("Name folding")
struct NameFoldingTests {
    @Test(
        "removes case, accents and compatibility forms",
        arguments: [
            ("Heavy Metal", "heavy metal"), ("ÜBER", "uber"), ("U\u{308}ber", "uber"), ("São José", "sao jose"),
            ("Straße", "strasse"), ("STRASSE", "strasse"), ("Łódź", "lodz"), ("Ærøskøbing", "aeroskobing"),
            ("ﬁancé", "fiance"), ("Ｆｕｌｌ", "full"), ("İstanbul", "istanbul"), ("ΣΑΣ", "σασ"), ("σας", "σασ"),
            ("Ёлка", "елка"), ("½", "1⁄2"), ("zero\u{200B}width", "zerowidth"), ("no\u{A0}break", "no break"),
            ("", ""), (".*(a+)+$", ".*(a+)+$"),
        ])
    func table(text: String, folded: String) {
        #expect(NameFolding.fold(text) == folded)
    }

    @Test("composed and decomposed Hangul fold alike")
    func hangul() {
        #expect(Array(NameFolding.fold("한").utf8) == Array(NameFolding.fold("\u{1112}\u{1161}\u{11AB}").utf8))
        #expect(Array(NameFolding.fold("가").utf8) == Array("\u{1100}\u{1161}".utf8))
    }

    @Test("marks that make another letter are kept")
    func essentialMarks() {
        #expect(NameFolding.fold("が") != NameFolding.fold("か"))
        #expect(NameFolding.fold("कि") != NameFolding.fold("की"))
    }

    @Test("control characters become spaces, so that a name cannot hold the separator of sort keys")
    func controls() {
        #expect(NameFolding.fold("a\u{0}b\u{1}c\nd\u{85}é") == "a b c d e")
    }

    @Test("folding what is folded changes nothing, for every character")
    func idempotent() {
        let changing = (UInt32(0)...0x10FFFF).lazy.compactMap(Unicode.Scalar.init).filter { scalar in
            let once = NameFolding.fold(String(scalar))
            return !NameFolding.fold(once).utf8.elementsEqual(once.utf8)
        }
        #expect(changing.map { "U+" + String($0.value, radix: 16) } == [])
    }

    @Test("canonically equal strings fold alike, for every character that the standard library takes apart")
    func canonicalEquality() {
        // Swift compares strings by canonical equivalence: an oracle that knows nothing of our table.
        for (composed, decomposed) in [("é", "e\u{301}"), ("ǖ", "u\u{308}\u{304}"), ("ệ", "e\u{323}\u{302}"), ("Å", "A\u{30A}")] {
            #expect(composed == decomposed)
            #expect(NameFolding.fold(composed) == NameFolding.fold(decomposed))
        }
    }
}
