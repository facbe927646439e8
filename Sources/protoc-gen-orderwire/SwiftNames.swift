import ProtoSchema

/// The names that protobuf's things get in Swift.
struct SwiftNames {
    /// Swift name of each message and enum, by full protobuf name.
    private var types: [String: String] = [:]
    /// Package of each.
    private var packages: [String: String] = [:]
    private let namespaces: [String: String]

    init(_ files: [SchemaFile], _ parameters: Parameters) {
        namespaces = parameters.namespaces
        for file in files {
            let namespace = namespace(ofPackage: file.package)
            add(file.messages, file.enums, of: file.package, under: namespace)
        }
    }

    private mutating func add(_ messages: [SchemaMessage], _ enums: [SchemaEnum], of package: String, under parent: String) {
        for value in enums {
            types[value.fullName] = "\(parent).\(Self.type(value.name))"
            packages[value.fullName] = package
        }
        for message in messages {
            let name = "\(parent).\(Self.type(message.name))"
            types[message.fullName] = name
            packages[message.fullName] = package
            add(message.messages, message.enums, of: package, under: name)
        }
    }

    /// Package of a message or an enum.
    func package(ofFullName fullName: String) -> String? {
        packages[fullName]
    }

    /// Qualified name of a message or an enum.
    func type(ofFullName fullName: String) -> String {
        types[fullName] ?? fullName
    }

    /// `orderwire.catalog.v1` -> `Catalog`: the last component that is not a version.
    func namespace(ofPackage package: String) -> String {
        if let name = namespaces[package] { return name }
        let components = package.split(separator: ".")
        return Self.upperCamel(String(components.last { !Self.isVersion($0) } ?? components.last ?? "Proto"))
    }

    private static func isVersion(_ component: Substring) -> Bool {
        component.first == "v" && component.dropFirst().first?.isNumber == true
    }

    /// Name of a type inside its parent.
    static func type(_ name: String) -> String {
        reservedTypes.contains(name) ? name + "Message" : name
    }

    /// `page_size` -> `pageSize`.
    static func member(_ name: String) -> String {
        let words = name.split(separator: "_")
        let first = words.first.map { $0.prefix(1).lowercased() + $0.dropFirst() } ?? name
        return escaped(first + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined())
    }

    /// `ORDER_STATE_ACCEPTED` of `OrderState` -> `accepted`.
    static func enumCase(_ value: String, of enumName: String) -> String {
        let prefix = screamingSnake(enumName) + "_"
        var name = value.hasPrefix(prefix) ? String(value.dropFirst(prefix.count)) : value
        if name.first?.isLetter != true { name = value }
        return member(name.lowercased())
    }

    /// `pay_load` -> `PayLoad`.
    static func upperCamel(_ name: String) -> String {
        name.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    /// `orderwire/catalog/v1/money.proto` -> `orderwire_catalog_v1_money`: a module wants each file name once.
    static func file(_ name: String) -> String {
        let stem = name.hasSuffix(".proto") ? String(name.dropLast(6)) : name
        return String(stem.map { $0 == "/" ? "_" : $0 })
    }

    private static func screamingSnake(_ name: String) -> String {
        var result = ""
        var wasUpper = true
        for character in name {
            if character.isUppercase, !wasUpper { result += "_" }
            result += character.uppercased()
            wasUpper = character.isUppercase
        }
        return result
    }

    private static func escaped(_ name: String) -> String {
        if reservedMembers.contains(name) { return name + "_" }
        return keywords.contains(name) ? "`\(name)`" : name
    }

    /// Types that generated code mentions, or that Swift does not let a program define.
    private static let reservedTypes: Set<String> = [
        "Any", "Arena", "Bool", "CValue", "Dictionary", "Double", "Encoded", "EncodingError", "Float", "Int32", "Int64", "Message",
        "MessageDescriptor", "Protocol", "Self", "String", "Type", "UInt32", "UInt64", "UInt8", "UnsafeMutableRawPointer",
        "UnsafeRawPointer",
    ]

    /// Members that Swift or this module gives to every generated type.
    private static let reservedMembers: Set<String> = [
        "hashValue", "jsonString", "rawValue", "self", "serializedBytes", "store", "unrecognized",
    ]

    private static let keywords = Set(
        """
        Any Self as associatedtype break case catch class continue default defer deinit do else enum extension fallthrough \
        false fileprivate for func guard if import in init inout internal is let nil open operator precedencegroup private \
        protocol public repeat rethrows return static struct subscript super switch throw throws true try typealias var \
        where while
        """.split(separator: " ").map(String.init))
}
