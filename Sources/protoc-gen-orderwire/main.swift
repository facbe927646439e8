// protoc-gen-orderwire: protoc's plugin for Orderwire's Swift types, client stubs and service protocols.
// protoc writes a CodeGeneratorRequest to standard input and reads a CodeGeneratorResponse from standard output.

import CProto
import Glibc

let bytes = StandardStreams.readAll()
guard let request = google__protobuf__compiler__code_generator_request__unpack(nil, bytes.count, bytes) else {
    StandardStreams.fail("standard input holds no CodeGeneratorRequest: protoc runs this program, with --orderwire_out=DIR")
}
let response: Response
do throws(PluginError) {
    response = Response(files: try Generator.generate(request))
} catch {
    response = Response(error: error.message)
}
StandardStreams.write(response.packed())
