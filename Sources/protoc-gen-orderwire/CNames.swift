/// The names that protoc-c 1.4.1 gives to things in C.
enum CNames {
    /// `orderwire.catalog.v1.Product` -> `Orderwire__Catalog__V1__Product`.
    static func type(_ fullName: String) -> String {
        fullName.split(separator: ".").map { camel($0) }.joined(separator: "__")
    }

    /// `orderwire.catalog.v1.Product` -> `orderwire__catalog__v1__product__init`.
    static func initializer(_ fullName: String) -> String {
        fullName.split(separator: ".").map { lower($0) }.joined(separator: "__") + "__init"
    }

    /// A field of a struct; in Swift's spelling.
    static func field(_ name: String) -> String {
        let lowered = name.lowercased()
        if cKeywords.contains(lowered) { return lowered + "_" }
        return lowered == "init" || lowered == "self" ? "`\(lowered)`" : lowered
    }

    /// The count of a repeated field.
    static func count(_ name: String) -> String {
        let lowered = name.lowercased()
        return "n_" + (cKeywords.contains(lowered) ? lowered + "_" : lowered)
    }

    private static func camel(_ name: Substring) -> String {
        var result = ""
        var startsWord = true
        for character in name {
            if character == "_" {
                startsWord = true
            } else {
                result += startsWord ? character.uppercased() : String(character)
                startsWord = false
            }
        }
        return result
    }

    private static func lower(_ name: Substring) -> String {
        var result = ""
        var wasUpper = true
        for character in name {
            if character.isUppercase, !wasUpper { result += "_" }
            result += character.lowercased()
            wasUpper = character.isUppercase
        }
        return result
    }

    /// Names to which protoc-c appends an underscore.
    private static let cKeywords = Set(
        """
        and and_eq asm auto bitand bitor bool break case catch char class compl const const_cast continue default delete do \
        double dynamic_cast else enum explicit extern false float for friend goto if inline int long mutable namespace new not \
        not_eq operator or or_eq private protected public register reinterpret_cast return short signed sizeof static \
        static_cast struct switch template this throw true try typedef typeid typename union unsigned using virtual void \
        volatile wchar_t while xor xor_eq
        """.split(separator: " ").map(String.init))
}
