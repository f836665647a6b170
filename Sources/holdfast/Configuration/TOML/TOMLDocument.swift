import BackupPolicy

/// A `holdfast.toml` with the place of everything in it.
///
/// TOML 1.0, read by hand: positions are what a configuration's messages live on, the libraries at hand give none for keys and
/// values, and a file that a person mistyped must never end the process. Dates and floating-point numbers are told apart and
/// otherwise left alone, since no setting is one.
struct TOMLDocument {
  struct Pair {
    var name: String
    var key: FilePosition
    var value: Value
  }

  /// A value and where it begins; a table begins with its header.
  struct Value {
    var content: Content
    var position: FilePosition
  }

  enum Content {
    case plain(RawValue)
    case array([Value])
    case table([Pair])
  }

  /// In their order.
  private(set) var pairs: [Pair] = []
  /// What is no TOML; the line is passed over, and what follows is read.
  private(set) var problems: [ConfigurationProblem] = []

  /// - Parameter path: as messages name it.
  init(_ bytes: [UInt8], path: String) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      problems = [Self.encodingProblem(bytes, path)]
      return
    }
    var parser = TOMLParser(text)
    parser.parse()
    pairs = parser.root.pairs
    problems = parser.errors.map { error in
      ConfigurationProblem(
        at: .file(path: path, position: error.position, key: error.subject), error.problem, hint: error.hint)
    }
  }

  private static func encodingProblem(_ bytes: [UInt8], _ path: String) -> ConfigurationProblem {
    let before = String(decoding: bytes, as: UTF8.self).unicodeScalars.prefix { $0 != "\u{FFFD}" }
    let position = FilePosition(
      line: before.count { $0 == "\n" } + 1, column: before.reversed().prefix { $0 != "\n" }.count + 1)
    return ConfigurationProblem(
      at: .file(path: path, position: position, key: "a character"), "is not in UTF-8", hint: "save the file as UTF-8")
  }
}

extension TOMLDocument.Value {
  /// As a setting takes it.
  var raw: RawValue {
    switch content {
    case .plain(let value): value
    case .table: .other("a table")
    case .array(let items): .list(items.map { RawItem(value: $0.raw, position: $0.position) })
    }
  }
}

/// Where a document is not TOML.
struct TOMLError: Error, Hashable {
  var position: FilePosition
  /// What is wrong: `the string`.
  var subject: String
  /// What is wrong with it: `is not closed on its line`.
  var problem: String
  var hint: String
}
