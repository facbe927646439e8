import ArgumentParser
import CatalogGenerator
import ProtoShop
import Terminal

/// `orderwire products generate`
struct ProductsGenerate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Print made-up products, to try a full catalogue with.",
        discussion: """
            Examples:
              orderwire products generate --count 100000 | orderwire products import -
              orderwire products generate --count 1000 --seed 7 -o csv > products.csv

            The same seed gives the same products, byte for byte, on any machine. A product has the same id with every seed, so that \
            importing those of another seed replaces them. No server is asked.
            """)

    enum Form: String, CaseIterable, ExpressibleByArgument {
        case jsonl, csv
    }

    @Option(help: ArgumentHelp("How many, at most \(Self.counts.upperBound).", valueName: "n"))
    var count: Int

    @Option(help: ArgumentHelp("Which ones: another number gives other products.", valueName: "n"))
    var seed: UInt64 = 1

    @Option(name: [.customShort("o"), .long], help: ArgumentHelp("Form of what is printed.", valueName: "form"))
    var output: Form = .jsonl

    /// As far as ids sort as their numbers do.
    private static let counts = 0...99_999_999
    /// Bytes that are printed at once.
    private static let chunk = 1 << 16

    func validate() throws {
        guard Self.counts.contains(count) else { throw ValidationError("--count must be 0 to \(Self.counts.upperBound)") }
    }

    func run() throws {
        let generator = ProductGenerator(seed: seed)
        let fields = Field<Catalog.Product>.importable
        var text = output == .csv ? CSVWriter.header(fields) : ""
        for number in 0..<count {
            let product = generator.product(number + 1)
            switch output {
            case .jsonl:
                text += try product.jsonString()
                text += "\n"
            case .csv: text += CSVWriter.line(product, fields)
            }
            if text.utf8.count >= Self.chunk {
                StandardStream.output.write(text)
                text.removeAll(keepingCapacity: true)
            }
        }
        StandardStream.output.write(text)
    }
}
