/// What an update does to the documents it finds.
package struct Update: Sendable {
    let body: Document
    private let isPipeline: Bool

    /// Update operators (`$set`, `$inc`, ...).
    package init(_ operators: Document) {
        body = operators
        isPipeline = false
    }

    /// Update operators, built in place: `Update { $0.document("$set") { $0.append("state", 2) } }`
    package init(_ build: (inout DocumentBuilder) -> Void) {
        body = Document(build)
        isPipeline = false
    }

    /// An aggregation pipeline, which can use the fields' old values and the database's clock (`$$NOW`).
    package init(pipeline stages: [Document]) {
        // Told by libmongoc's rule: a document whose first key is "0" is an array.
        isPipeline = true
        body = Document { document in
            document.asArray { array in
                for stage in stages { array.append(stage) }
            }
        }
    }

    func append(to statement: inout DocumentBuilder, as key: FieldName) {
        if isPipeline { statement.append(key, array: body) } else { statement.append(key, body) }
    }
}
