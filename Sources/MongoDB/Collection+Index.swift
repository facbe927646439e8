internal import CMongoC

/// An index to be created.
package struct Index: Sendable {
    package var name: String
    package var keys: Document
    package var unique: Bool
    /// Only documents that match are in the index.
    package var partialFilter: Document?
    /// Documents are deleted this long after the date in the (single) key.
    package var expireAfter: Duration?
    /// What a page of its tree may take in memory: as in `Collection.create`. No part of its form; `indexes` does not tell it.
    package var maxPageBytes: Int?

    package init(
        _ name: String, keys: Document, unique: Bool = false, partialFilter: Document? = nil, expireAfter: Duration? = nil,
        maxPageBytes: Int? = nil
    ) {
        self.name = name
        self.keys = keys
        self.unique = unique
        self.partialFilter = partialFilter
        self.expireAfter = expireAfter
        self.maxPageBytes = maxPageBytes
    }
}

extension Collection {
    /// Creates the indexes that do not exist yet; one of the same name but another form is an error. A no-op takes
    /// about a millisecond.
    package func createIndexes(_ indexes: [Index], timeLimit: Duration? = nil) throws(MongoError) {
        let command = Document { command in
            command.append("createIndexes", name)
            command.array("indexes") { array in
                for index in indexes {
                    array.document { entry in
                        entry.append("key", index.keys)
                        entry.append("name", index.name)
                        if index.unique { entry.append("unique", true) }
                        if let filter = index.partialFilter { entry.append("partialFilterExpression", filter) }
                        if let expiry = index.expireAfter { entry.append("expireAfterSeconds", expiry.components.seconds) }
                        if let size = index.maxPageBytes { entry.append("storageEngine", Self.storageEngine(maxPageBytes: size)) }
                    }
                }
            }
        }
        try run(command, timeLimit)
    }

    /// Creates the collection where it does not exist yet. One that exists stays as it is.
    ///
    /// - Parameter maxPageBytes: what a page of its tree, or of an index, may take in memory, changes and old versions included, before
    ///   whoever changes it next has to split it and write it out: WiredTiger's `memory_page_max`, by default 10 MB, of indexes 5.
    package func create(maxPageBytes: Int, timeLimit: Duration? = nil) throws(MongoError) {
        let engine = Self.storageEngine(maxPageBytes: maxPageBytes)
        let command = Document { command in
            command.append("create", name)
            command.append("storageEngine", engine)
            command.document("indexOptionDefaults") { $0.append("storageEngine", engine) }
        }
        do throws(MongoError) {
            try run(command, timeLimit)
        } catch {
            guard error.isAboutExistingCollection else { throw error }
        }
    }

    private static func storageEngine(maxPageBytes: Int) -> Document {
        Document { engine in
            engine.document("wiredTiger") { $0.append("configString", "memory_page_max=\(maxPageBytes)") }
        }
    }

    /// Drops the index of this name.
    package func dropIndex(_ index: String, timeLimit: Duration? = nil) throws(MongoError) {
        try run(
            Document { command in
                command.append("dropIndexes", name)
                command.append("index", index)
            }, timeLimit)
    }

    private func run(_ command: Document, _ timeLimit: Duration?) throws(MongoError) {
        let options = try options(timeLimit)
        try command.withUnsafeBSON { (command) throws(MongoError) in
            try withReply { reply, error in
                mongoc_collection_write_command_with_opts(handle, command, options.bson, reply, error)
            } read: { (succeeded, reply, error) throws(MongoError) in
                if !succeeded { throw MongoError(error, reply: reply) }
            }
        }
    }
}

extension MongoError {
    /// There is a collection of this name (NamespaceExists).
    fileprivate var isAboutExistingCollection: Bool { kind == .server && code == 48 }
}

extension Collection {
    /// The indexes that there are; none where the collection does not exist.
    package func indexes(timeLimit: Duration? = nil) throws(MongoError) -> [Index] {
        let options = try options(timeLimit)
        guard let handle = mongoc_collection_find_indexes_with_opts(handle, options.bson) else {
            preconditionFailure("libmongoc reports a failed query through its cursor")
        }
        var cursor = tied(Cursor(stealing: handle), to: self)
        var indexes: [Index] = []
        while let row = try cursor.next() {
            var index = Index(
                try row.string("name"), keys: Document(copying: try row.document("key")), unique: row.find("unique")?.bool ?? false,
                expireAfter: row.find("expireAfterSeconds")?.int64.map { .seconds($0) })
            if let filter = row.find("partialFilterExpression")?.document { index.partialFilter = Document(copying: filter) }
            indexes.append(index)
        }
        return indexes
    }
}

extension Index: Equatable {
    /// Of the same name and form, whatever the width of the integers in it.
    package static func == (left: Index, right: Index) -> Bool {
        left.name == right.name && left.form == right.form
    }
}

extension Index {
    /// All but its name, for people: `{ "name_key" : 1 }`
    package var form: String {
        var text = keys.description
        if unique { text += " unique" }
        if let partialFilter { text += " where \(partialFilter)" }
        if let expireAfter { text += " for \(expireAfter.components.seconds) s" }
        return text
    }
}
