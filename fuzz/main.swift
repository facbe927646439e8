import Glibc

/// Runs a target under libFuzzer: `fuzz TARGET [libFuzzer's arguments]`. `fuzz/run` builds this program with its
/// instrumentation and gives each target its time.
///
/// `fuzz TARGET --seeds FOLDER` writes the messages to begin with, a file each.
guard CommandLine.arguments.count > 1, let target = Target(rawValue: CommandLine.arguments[1]) else {
    fail("usage: fuzz \(Target.allCases.map(\.rawValue).joined(separator: "|")) [libFuzzer's arguments | --seeds FOLDER]")
}
if CommandLine.arguments.count == 4, CommandLine.arguments[2] == "--seeds" {
    for (index, seed) in target.seeds.enumerated() { save(seed, to: "\(CommandLine.arguments[3])/seed-\(index)") }
} else {
    chosen = target
    // The target's name is none of libFuzzer's arguments.
    var arguments = ([CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)).map { strdup($0) } + [nil]
    var count = Int32(arguments.count - 1)
    arguments.withUnsafeMutableBufferPointer { buffer in
        var pointer = buffer.baseAddress
        exit(LLVMFuzzerRunDriver(&count, &pointer) { bytes, count in
            chosen?.check(UnsafeRawBufferPointer(start: bytes, count: count))
            return 0
        })
    }
}

/// libFuzzer's own `main`, for a program that has one (https://llvm.org/docs/LibFuzzer.html, "Using libFuzzer as a library").
@_silgen_name("LLVMFuzzerRunDriver")
func LLVMFuzzerRunDriver(
    _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ check: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// Says that a property does not hold, and ends so that libFuzzer keeps the input.
func broken(_ property: String) -> Never { fail("broken: \(property)") }

func require(_ condition: Bool, _ property: @autoclosure () -> String) {
    if !condition { broken(property()) }
}

private func fail(_ text: String) -> Never {
    let line = Array((text + "\n").utf8)
    write(STDERR_FILENO, line, line.count)
    abort()
}

private func save(_ bytes: [UInt8], to path: String) {
    guard let file = fopen(path, "w"), fwrite(bytes, 1, bytes.count, file) == bytes.count, fclose(file) == 0 else {
        fail("cannot write \(path)")
    }
}
