import RPC

/// The methods of a server, by index and by their 32-bit name.
struct MethodTable: Sendable {
    private let registrations: [MethodRegistration]
    /// The .proto files of all services, each after those that it imports.
    let files: [FileDescriptor]
    /// The names on the wire: a server has few methods, and looking through so few numbers is faster than hashing.
    private let ids: [UInt32]
    /// What admission has to know of each method, before anything waits.
    let admissions: [Admission.Method]

    /// Fails where two methods have the same name on the wire, or one is registered twice.
    init(_ services: [any Service]) throws(RPCError) {
        var registrations: [MethodRegistration] = []
        var indexes: [UInt32: Int] = [:]
        for registration in services.flatMap(\.registrations) {
            if let other = indexes[registration.id] {
                throw RPCError(
                    .failedPrecondition, reason: "METHOD_COLLISION",
                    "\(registration.fullName) and \(registrations[other].fullName) have the same id on the wire; rename one",
                    disposition: .notExecuted)
            }
            indexes[registration.id] = registrations.count
            registrations.append(registration)
        }
        self.registrations = registrations
        var names = Set<String>()
        self.files = services.flatMap(\.files).filter { names.insert($0.name).inserted }
        self.ids = registrations.map(\.id)
        self.admissions = registrations.map { registration in
            let policy = registration.policy
            return Admission.Method(
                priority: policy.priority, maxRequestBytes: registration.maxRequestBytes ?? .max, concurrency: policy.concurrency,
                callsPerTurn: policy.gather == .all ? policy.maxCalls : 1, sharesExecutions: policy.gather == .equalPayloads)
        }
    }

    subscript(_ index: Int) -> MethodRegistration { registrations[index] }

    func index(of id: UInt32) -> Int? { ids.firstIndex(of: id) }

    var indices: Range<Int> { registrations.indices }

    var policies: [DispatchPolicy] { registrations.map(\.policy) }

    /// Full names of the services, as in "orderwire.catalog.v1.CatalogService".
    var serviceNames: Set<String> {
        Set(registrations.map { String($0.fullName.prefix { $0 != "/" }) })
    }
}
