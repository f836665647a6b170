import BackupPolicy
import Synchronization
import Wording

extension CommandSpelling {
  /// With the options of the caller, so that a person can paste the command.
  static let caller = CommandSpelling { CallerOptions.applied(to: $0) }
}

/// The options that tell a command which database, repository and configuration it is about, as the caller gave them. Commands in
/// hints carry them on, so that they can be pasted.
struct CallerOptions: Sendable {
  private static let names =
    ["--database", "--backup-dir", "--config", "--env-file", "--key-file", "--password-file", "--target"] + readingNames
  /// Only some commands take these.
  private static let readingNames = ["--from", "--repository"]
  private static let targetCommands = ["sync", "targets", "targets show", "targets check", "targets take-over"]
  private static let readingCommands = ["restore", "list", "show", "verify", "query", "diff", "drill"]
  private static let current = Mutex(CallerOptions(ProcessEnvironment.arguments.dropFirst()))

  /// Names and values, in the order of ``names``.
  private var given: [(name: String, value: String)] = []

  /// - Parameter arguments: of the command line, without the program.
  init(_ arguments: some Sequence<String>) {
    let words = Array(arguments.prefix { $0 != "--" })
    for (index, word) in words.enumerated() {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard let name = parts.first, Self.names.contains(name) else { continue }
      if let value = parts.count == 2 ? parts[1] : index + 1 < words.count ? words[index + 1] : nil { set(name, value) }
    }
  }

  mutating func set(_ name: String, _ value: String) {
    // Each target that a command names is asked.
    if name != "--from" { given.removeAll { $0.name == name } }
    let place = given.firstIndex { Self.place($0.name) > Self.place(name) } ?? given.endIndex
    given.insert((name, value), at: place)
  }

  private static func place(_ name: String) -> Int { names.firstIndex(of: name) ?? 0 }

  /// The value of one of the options; nil if it is not given.
  subscript(_ name: String) -> String? { given.first { $0.name == name }?.value }

  /// A database that an argument names.
  ///
  /// - Throws: `usage` if a flag names one as well.
  static func name(database: String, besides flag: String?) throws {
    guard flag == nil else {
      throw HoldfastError(
        .usage, "the database is named twice: \(database) and --database \(flag ?? "")", hint: "leave one of them out")
    }
    current.withLock { $0.set("--database", database) }
  }

  /// Makes hints name this one of several databases until `body` ends.
  static func with<Result>(database: String, _ body: () throws -> Result) rethrows -> Result {
    let before = current.withLock(\.self)
    current.withLock { $0.set("--database", database) }
    defer { current.withLock { $0 = before } }
    return try body()
  }

  /// The text with the caller's options behind each of our commands in it.
  static func applied(to text: String) -> String { current.withLock(\.self).applied(to: text) }

  func applied(to text: String) -> String {
    guard !given.isEmpty else { return text }
    var result = ""
    var rest = text[...]
    while let range = rest.firstRange(of: "holdfast ") {
      let before = rest[..<range.lowerBound].last ?? result.last
      result += rest[..<range.upperBound]
      rest = rest[range.upperBound...]
      guard before == nil || before?.isWhitespace == true || before == "(" else { continue }
      let command = Self.command(at: rest)
      guard !command.isEmpty else { continue }
      rest = rest.dropFirst(command.count)
      // Help is the same for every database.
      guard !rest.hasPrefix(" --help") else {
        result += command
        continue
      }
      let own = Self.optionNames(at: rest)
      let foreign =
        (Self.readingCommands.contains(command) ? [] : Self.readingNames)
        + (Self.targetCommands.contains(command) ? [] : ["--target"])
      let words = given.filter { !own.contains($0.name) && !foreign.contains($0.name) }
        .flatMap { [$0.name, RestoreCommandLine.quoted($0.value)] }
      result += ([command] + words).joined(separator: " ")
    }
    return result + rest
  }

  /// The options of one command, up to the comma or semicolon that ends it. Others may follow in the same hint.
  private static func optionNames(at text: Substring) -> [String] {
    var isQuoted = false
    let command = text.prefix { character in
      if character == "'" { isQuoted.toggle() }
      return isQuoted || !",;\n".contains(character)
    }
    return command.split(separator: " ").prefix { $0 != "holdfast" }.filter { $0.hasPrefix("--") }
      .map { String($0.prefix { $0 == "-" || $0.isLetter }) }
  }

  /// The name of a command that takes these options, such as `list` or `config show`; empty for other words.
  private static func command(at text: Substring) -> String {
    let word = String(text.prefix { $0.isLetter })
    guard CommandNames.takingServiceOptions.contains(word) else { return "" }
    let parts = CommandNames.parts(of: word)
    guard !parts.isEmpty else { return word }
    let second = String(text.dropFirst(word.count + 1).prefix { $0.isLetter || $0 == "-" })
    if parts.contains(second) { return "\(word) \(second)" }
    return word == Config._commandName ? "" : word
  }
}
