import BackupEngine

/// An option with a negative value, such as `--limit -1`. The parser of arguments treats the value
/// as another option.
struct NegativeValue {
  let option: String
  let value: String
  private let arguments: [String]

  /// - Parameter message: of the parser, which names the option.
  init?(in arguments: some Sequence<String>, _ message: String) {
    let words = Array(arguments.prefix { $0 != "--" })
    let pair = zip(words, words.dropFirst()).first { option, value in
      option.hasPrefix("--") && message.contains("'\(option) ") && value.hasPrefix("-")
        && value.dropFirst().first.map { $0.isASCII && $0.isNumber } == true
    }
    guard let pair else { return nil }
    (option, value) = pair
    self.arguments = words
  }

  var error: HoldfastError {
    HoldfastError(
      .usage, "\(option) must not be negative, and is \(value.shortened)",
      hint: CommandNames.helpHint(for: arguments))
  }
}
