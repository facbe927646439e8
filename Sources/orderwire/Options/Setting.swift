import ArgumentParser
import Terminal

/// Where the value of a flag comes from: the command line, else the environment, else a default.
enum Setting {
    /// The text of `flag`, else of the variable `name`; nil where neither is given.
    static func text(_ flag: String?, _ name: String) -> String? {
        if let flag { return flag }
        guard let text = Environment[name], !text.isEmpty else { return nil }
        return text
    }

    /// The value of a flag, read by `parse` from the command line or the environment. `allowed` tells what would be right.
    static func value<Value>(
        _ flag: String?, _ flagName: String, _ name: String, default fallback: Value, allowed: String,
        _ parse: (String) -> Value?
    ) throws(ValidationError) -> Value {
        guard let text = text(flag, name) else { return fallback }
        guard let value = parse(text) else {
            throw ValidationError("\(flag == nil ? name : flagName): '\(text)' is not right; allowed: \(allowed)")
        }
        return value
    }
}
