/// A TOML document with the place of everything in it.
///
/// ```swift
/// let document = TOMLDocument(bytes)
/// for pair in document.pairs { print(pair.name, pair.key.line) }
/// for error in document.errors { print(error.position.line, error.subject, error.problem) }
/// ```
///
/// TOML 1.0, with a parser of our own: a configuration's messages need positions, the available
/// libraries do not give positions of keys and values, and a mistake in a file must never end the
/// process. Dates and floating-point numbers are recognized, but their values are not read, because
/// no setting uses them.
package struct TOMLDocument {
  package struct Pair {
    package var name: String
    package var key: FilePosition
    package var value: Value
  }

  /// A value and its start; a table starts with its header.
  package struct Value {
    package var content: Content
    package var position: FilePosition

    package init(content: Content, position: FilePosition) {
      (self.content, self.position) = (content, position)
    }
  }

  package enum Content {
    case string(String)
    case boolean(Bool)
    case integer(Int64)
    /// A value that is not read, by the name of its type: `a date`.
    case other(String)
    case array([Value])
    case table([Pair])
  }

  /// In their order.
  package private(set) var pairs: [Pair] = []
  /// The places at which the document is not TOML. The parser skips the line and continues with the
  /// next one.
  package private(set) var errors: [TOMLError] = []

  package init(_ bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      errors = [Self.encodingError(bytes)]
      return
    }
    var parser = TOMLParser(text)
    parser.parse()
    pairs = parser.root.pairs
    errors = parser.errors
  }

  private static func encodingError(_ bytes: [UInt8]) -> TOMLError {
    let before = String(decoding: bytes, as: UTF8.self).unicodeScalars.prefix { $0 != "\u{FFFD}" }
    let position = FilePosition(
      line: before.count { $0 == "\n" } + 1, column: before.reversed().prefix { $0 != "\n" }.count + 1)
    return TOMLError(
      position: position, subject: "a character", problem: "is not in UTF-8", hint: "save the file as UTF-8")
  }
}

/// A place in a text file. Both numbers count from 1; columns are Unicode scalars.
package struct FilePosition: Hashable, Sendable, Comparable {
  package var line: Int
  package var column: Int

  package init(line: Int, column: Int) {
    (self.line, self.column) = (line, column)
  }

  package static func < (left: FilePosition, right: FilePosition) -> Bool {
    (left.line, left.column) < (right.line, right.column)
  }
}

/// A place where a document is not TOML.
package struct TOMLError: Error, Hashable {
  package var position: FilePosition
  /// The wrong part: `the string`.
  package var subject: String
  /// The problem with it: `is not closed on its line`.
  package var problem: String
  package var hint: String
}

/// A table while its document is read.
final class TOMLTable {
  enum Kind {
    /// Created by the header of a table inside of it; a header of its own may follow.
    case implied
    /// It had its header.
    case header
    /// Created by dotted keys.
    case dotted
    /// `{ … }`: nothing can be added.
    case inline
  }

  enum Content {
    case value(TOMLDocument.Value)
    case table(TOMLTable)
    /// `[[…]]`
    case tables([TOMLTable])
  }

  struct Entry {
    var name: String
    var key: FilePosition
    var content: Content
  }

  var kind: Kind
  let position: FilePosition
  private(set) var entries: [Entry] = []
  private var places: [String: Int] = [:]

  init(_ kind: Kind, at position: FilePosition) {
    (self.kind, self.position) = (kind, position)
  }

  subscript(_ name: String) -> Entry? { places[name].map { entries[$0] } }

  func add(_ name: String, _ content: Content, at position: FilePosition) {
    places[name] = entries.count
    entries.append(Entry(name: name, key: position, content: content))
  }

  /// Adds a table to an array of tables.
  func append(_ table: TOMLTable, to name: String) {
    guard let index = places[name], case .tables(let tables) = entries[index].content
    else { return }
    entries[index].content = .tables(tables + [table])
  }

  var pairs: [TOMLDocument.Pair] {
    entries.map { TOMLDocument.Pair(name: $0.name, key: $0.key, value: Self.value($0.content, $0.key)) }
  }

  private static func value(_ content: Content, _ position: FilePosition) -> TOMLDocument.Value {
    switch content {
    case .value(let value): return value
    case .table(let table): return table.value
    case .tables(let tables): return TOMLDocument.Value(content: .array(tables.map(\.value)), position: position)
    }
  }

  var value: TOMLDocument.Value { TOMLDocument.Value(content: .table(pairs), position: position) }
}
