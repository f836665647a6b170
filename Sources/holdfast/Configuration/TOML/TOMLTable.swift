/// A table while its document is read.
final class TOMLTable {
  enum Kind {
    /// Named on the way by the header of a table in it; a header of its own may follow.
    case implied
    /// It had its header.
    case header
    /// Made by dotted keys.
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
