@testable import Terminal
import Testing

@Suite struct TextTests {
    // The cases are inside, so that no test runner prints them raw.
    @Test func controlCharactersAreEscaped() {
        let cases = [
            "plain é 日本": "plain é 日本",
            "a\nb\tc\r": "a\\nb\\tc\\r",
            "\u{1B}[31mred": "\\u{1B}[31mred",
            "a\r\nb": "a\\r\\nb",
            "\u{202E}evil\u{0}\u{9B}": "\\u{202E}evil\\u{0}\\u{9B}",
        ]
        for (text, escaped) in cases { #expect(text.escapingControls == escaped) }
    }

    @Test func columnsCountWideCharactersTwice() {
        #expect("abc".columns == 3)
        #expect("日本".columns == 4)
        #expect("e\u{301}".columns == 1)
    }

    @Test func longTextIsCutToItsColumns() {
        #expect("abcdef".truncated(to: 6) == "abcdef")
        #expect("abcdefg".truncated(to: 6) == "abcde…")
        #expect("日本語".truncated(to: 4) == "日…")
    }

    @Test func linesBreakAtBlanks() {
        #expect("one two three".wrapped(to: 7) == ["one two", "three"])
        #expect("one two three".wrapped(to: 3) == ["one", "two", "three"], "a long word stays whole")
        #expect("one two".wrapped(to: 7) == ["one two"])
        #expect("one  two".wrapped(to: nil) == ["one  two"])
        #expect("".wrapped(to: 3) == [""])
    }
}
