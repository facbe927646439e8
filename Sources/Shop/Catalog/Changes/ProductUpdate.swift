import ProtoShop
import RPC

/// New values for some of a product's fields, of the right form. Nil: the field stays as it is.
struct ProductUpdate: Sendable, Equatable {
    var id: String
    var name: String?
    var category: String?
    var price: MinorAmount?
    var description: String?
    /// Version that the caller saw.
    var expectedVersion: Int64

    /// The fields that can be updated, by their names in `update_fields`.
    private enum Field: String, CaseIterable {
        case name, category, price, description
    }

    /// Checks `request`, and throws all that is wrong with it at once.
    init(_ request: Catalog.UpdateProductRequest) throws(RPCError) {
        var violations = Violations()
        let product = request.product ?? .init()
        violations.checkID(product.id, "product.id")
        let fields = Self.fields(request.updateFields, &violations)
        id = product.id
        if fields.contains(.name) {
            violations.checkText(product.name, "product.name", isRequired: true, maxLength: Limits.maxNameLength)
            name = product.name
        }
        if fields.contains(.category) {
            violations.checkText(product.category, "product.category", isRequired: true, maxLength: Limits.maxCategoryLength)
            category = product.category
        }
        if fields.contains(.price) { price = MinorAmount(product.price, field: "product.price", &violations) }
        if fields.contains(.description) {
            violations.checkText(product.description, "product.description", isRequired: false, maxLength: Limits.maxDescriptionLength)
            description = product.description
        }
        if request.expectedVersion < 1 {
            violations.add("expected_version", "must be at least 1: the version of the product as it was read")
        }
        expectedVersion = request.expectedVersion
        try violations.check()
    }

    private static func fields(_ names: [String], _ violations: inout Violations) -> Set<Field> {
        if names.isEmpty { return Set(Field.allCases) }
        var fields: Set<Field> = []
        for (index, name) in names.enumerated() {
            if let field = Field(rawValue: name) {
                fields.insert(field)
            } else {
                violations.add("update_fields[\(index)]", "must be one of \(Field.allCases.map { "\"\($0)\"" }.joined(separator: ", "))")
            }
        }
        return fields
    }

    /// What `record` becomes by it, with the same version.
    func applied(to record: ProductRecord) -> ProductRecord {
        var record = record
        if let name { record.name = name }
        if let category { record.category = category }
        if let price { record.price = price }
        if let description { record.description = description }
        return record
    }
}
