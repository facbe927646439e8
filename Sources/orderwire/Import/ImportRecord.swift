import ProtoShop
import Terminal

/// Accounts for the rows of an import, batch by batch in the order of the file: numbers, rejected rows, what people see, and the
/// state with which it can go on.
final class ImportRecord {
    private let path: String
    private let output: Output
    private let rejects: OutputFile?
    private let heading: [UInt8]
    private let progress: ImportProgress
    /// Where the state is kept; nil where none is.
    private var statePath: String?
    private var state: ImportState?
    private(set) var tally: ImportTally
    private var isStateWritten: Bool
    /// Refusals that a terminal was shown.
    private var shownRefusals = 0

    /// Refusals that a terminal shows one by one. What goes to a file or a pipe gets all of them.
    private static let maxShownRefusals = 20

    /// - Parameters:
    ///   - state: what is known of the import; its place moves on as batches arrive.
    ///   - isResumed: the state was read from `statePath`.
    init(
        _ file: ProductFile, state: ImportState?, at statePath: String?, isResumed: Bool, rejects: OutputFile?, output: Output
    ) {
        path = file.path
        heading = file.rows.heading
        self.output = output
        self.rejects = rejects
        self.statePath = statePath
        self.state = state
        isStateWritten = isResumed
        tally = state?.tally ?? ImportTally()
        progress = ImportProgress(extent: file.rows.extent, from: file.rows.mark, tally)
    }

    /// Notes what became of a batch. To be called in the order of the file.
    func note(_ batch: ImportBatch, _ response: Catalog.ImportProductsResponse) throws {
        tally.inserted += Int(response.insertedCount)
        tally.replaced += Int(response.replacedCount)
        for refusal in batch.refusals(response) {
            tally.refused += 1
            tell(refusal)
            if !refusal.text.isEmpty { try keep(refusal.text + [UInt8(ascii: "\n")]) }
        }
        progress.update(to: batch.end, tally)
        save(batch.end)
    }

    /// Adds text to the rejected rows.
    func keep(_ text: some Collection<UInt8>) throws {
        guard let rejects else { return }
        if rejects.size == 0 { try rejects.write(heading) }
        try rejects.write(text)
    }

    /// All is done: there is nothing to go on with any more.
    func finish() throws {
        progress.finish()
        tellHidden()
        if isStateWritten, let statePath { try ImportState.remove(statePath) }
    }

    /// The import ends before the file does.
    func stop() {
        progress.finish()
        tellHidden()
        guard isStateWritten, let state else { return }
        output.remark("orderwire: \(path): stopped before line \(state.mark.line); --resume goes on there")
    }

    private func save(_ mark: ImportMark) {
        guard let statePath, var state else { return }
        state.mark = mark
        state.tally = tally
        state.rejectsSize = rejects?.size ?? 0
        self.state = state
        do throws(UsageError) {
            try state.write(statePath)
            isStateWritten = true
        } catch {
            // The import is worth more than the chance to go on with it.
            self.statePath = nil
            progress.show("orderwire: the import goes on, but --resume will not: \(error.message)\n")
        }
    }

    private func tell(_ refusal: ImportBatch.Refusal) {
        if StandardStream.error.isTerminal {
            shownRefusals += 1
            if shownRefusals > Self.maxShownRefusals { return }
        }
        let place = refusal.place.description
        switch output.format {
        case .table: progress.show("orderwire: \(path.escapingControls): \(place): \(refusal.reason.escapingControls)\n")
        case .json, .jsonl, .csv:
            progress.show(JSONValue.object([
                (key: "file", value: .string(path)), (key: "place", value: .string(place)), (key: "reason", value: .string(refusal.reason)),
            ]).text() + "\n")
        }
    }

    private func tellHidden() {
        let hidden = shownRefusals - Self.maxShownRefusals
        if hidden > 0 { output.remark("orderwire: and \(hidden) more; `2> FILE` gets all reasons, --rejects all rows") }
    }
}
