// Orders of two lines for `orderwire serve`, one client's, of the products `product-0` to PRODUCTS - 1.
//
//   bench-orders accept ENDPOINT[,ENDPOINT] PRODUCTS IN_FLIGHT SECONDS
//       IN_FLIGHT calls of SubmitOrder at any time: prints orders_per_s=... p50_us=... p99_us=... cpu_us=... calls=...
//   bench-orders fill ENDPOINT PRODUCTS COUNT
//       submits COUNT orders: prints orders_per_s=... cpu_us=... calls=...
//   bench-orders settle ENDPOINT PRODUCTS IN_FLIGHT SECONDS all|one
//       IN_FLIGHT orders at any time, each from its submission until its completion was received: prints the same as `accept`.
//       With `one`, all want product-0 and another one.
//   bench-orders notify ENDPOINT PRODUCTS RATE SECONDS
//       RATE orders a second: prints orders_per_s=... p50_us=... p99_us=... max_us=... cpu_us=... calls=..., times from the
//       acceptance of an order to the receipt of its completion
//
// cpu_us is this process's own, an order; calls are all, the warm-up's included.
import Glibc
import ProtoShop
import RPC
import RPCClient

func usage() -> Never {
    let text = """
        usage: bench-orders accept ENDPOINT[,ENDPOINT] PRODUCTS IN_FLIGHT SECONDS
               bench-orders fill ENDPOINT PRODUCTS COUNT
               bench-orders settle ENDPOINT PRODUCTS IN_FLIGHT SECONDS all|one
               bench-orders notify ENDPOINT PRODUCTS RATE SECONDS

        """
    write(STDERR_FILENO, text, text.utf8.count)
    exit(64)
}

let arguments = Array(CommandLine.arguments.dropFirst())

/// The argument at `place` as a positive number.
func number(_ place: Int) -> Double {
    guard arguments.indices.contains(place), let number = Double(arguments[place]), number > 0 else { usage() }
    return number
}

func load(_ taste: Shopper.Taste) throws -> Load {
    var configuration = ChannelConfiguration()
    configuration.connectTimeout = .seconds(30)
    configuration.defaultTimeout = .seconds(60)
    // A client of its own, whose completions are those of this run.
    let name = "bench-\(UInt64.random(in: 0 ... .max))"
    let channel = try Channel(to: arguments[1].split(separator: ",").map(String.init), name: name, configuration: configuration)
    return Load(channel, Shopper(taste, products: Int(number(2))))
}

switch (arguments.first, arguments.count) {
case ("accept", 5): print(try await load(.all).accept(inFlight: Int(number(3)), seconds: number(4)))
case ("fill", 4): print(try await load(.all).fill(Int(number(3))))
case ("settle", 6):
    guard let taste = Shopper.Taste(rawValue: arguments[5]) else { usage() }
    print(try await load(taste).settle(inFlight: Int(number(3)), seconds: number(4)))
case ("notify", 5): print(try await load(.all).notify(rate: number(3), seconds: number(4)))
default: usage()
}
