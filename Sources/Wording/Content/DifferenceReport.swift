import BackupEngine
import Names

/// How two databases differ, for people and for scripts.
package struct DifferenceReport {
  private let before: String
  private let after: String
  private let difference: DatabaseDifference
  private let summary: Bool

  /// - Parameters:
  ///   - before: the name of the first database, such as the ID of a backup.
  ///   - after: the name of the second one.
  ///   - summary: whether the rows are only counted.
  package init(before: String, after: String, difference: DatabaseDifference, summary: Bool) {
    (self.before, self.after, self.difference, self.summary) = (before, after, difference, summary)
  }

  /// The rows of each table, then the schema; one line if the databases are the same.
  package var lines: [String] {
    guard !difference.isEmpty else { return ["\(before) and \(after) contain the same rows and the same schema"] }
    return ["From \(before) to \(after)", ""] + difference.tables.flatMap(tableLines) + schemaLines
  }

  private func tableLines(_ table: TableDifference) -> [String] {
    let name = table.name.description.printable
    if let skipped = table.skipped { return ["\(name): not compared: \(skipped.printable)"] }
    let counts = "\(table.added.grouped) added, \(table.removed.grouped) removed, \(table.changed.grouped) changed"
    guard !summary else { return ["\(name): \(counts)"] }
    let rest = table.added + table.removed + table.changed - Int64(table.rows.count)
    return ["\(name): \(counts)"] + table.rows.map { "  \(row($0, table.key))" }
      + (rest > 0 ? ["  … and \(rest.grouped) more; --limit shows more of them"] : [])
  }

  private func row(_ row: RowDifference, _ keyNames: [Identifier]) -> String {
    let key = zip(keyNames, row.key).map { "\($0.description.printable) \(Self.shown($1))" }.joined(separator: ", ")
    switch (row.before, row.after) {
    case (let old?, let new?):
      let changes = zip(old, new).map {
        "\($0.column.description.printable) \(Self.shown($0.value)) → \(Self.shown($1.value))"
      }
      return "~ \(key): \(changes.joined(separator: ", "))"
    case (let cells?, nil): return "- \(key): \(Self.cells(cells, without: keyNames))"
    case (nil, let cells?): return "+ \(key): \(Self.cells(cells, without: keyNames))"
    case (nil, nil): return key
    }
  }

  private static func cells(_ cells: [RowDifference.Cell], without key: [Identifier]) -> String {
    cells.filter { !key.contains($0.column) }.map { "\($0.column.description.printable) \(shown($0.value))" }.joined(
      separator: ", ")
  }

  private static func shown(_ value: DatabaseValue) -> String {
    let text: String =
      switch value {
      case .null: "NULL"
      case .text(let text): "\"\(text.printable)\""
      case .blob: "x'\(value.plainText)'"
      default: value.plainText
      }
    return text.count > 60 ? text.prefix(59) + "…" : text
  }

  private var schemaLines: [String] {
    guard !difference.schema.isEmpty else { return [] }
    return (difference.tables.isEmpty ? [] : [""]) + ["Schema:"]
      + difference.schema.map { "  \($0.mark) \($0.type) \($0.name.description.printable)" }
  }

  /// The same for scripts, with whole values.
  package var json: JSONValue {
    .object([
      "from": .string(before), "to": .string(after), "identical": .bool(difference.isEmpty),
      "tables": .array(difference.tables.map(table)), "schema": .array(difference.schema.map(\.json)),
    ])
  }

  private func table(_ table: TableDifference) -> JSONValue {
    var keys: JSONObject = [
      "name": .string(table.name.description), "added": .integer(table.added), "removed": .integer(table.removed),
      "changed": .integer(table.changed),
    ]
    if let skipped = table.skipped { keys["skipped"] = .string(skipped) }
    if !summary { keys["rows"] = .array(table.rows.map { $0.json(table.key) }) }
    return .object(keys)
  }
}

extension RowDifference {
  fileprivate func json(_ keyNames: [Identifier]) -> JSONValue {
    let change = before == nil ? "added" : after == nil ? "removed" : "changed"
    var keys: JSONObject = [
      "change": .string(change),
      "key": .object(JSONObject(zip(keyNames, key).map { (key: $0.bytes, value: $1.json) })),
    ]
    if let before { keys["before"] = Self.json(before) }
    if let after { keys["after"] = Self.json(after) }
    return .object(keys)
  }

  private static func json(_ cells: [Cell]) -> JSONValue {
    .object(JSONObject(cells.map { (key: $0.column.bytes, value: $0.value.json) }))
  }
}

extension SchemaChange {
  fileprivate var mark: String { before == nil ? "+" : after == nil ? "-" : "~" }

  fileprivate var json: JSONValue {
    let change = before == nil ? "added" : after == nil ? "removed" : "changed"
    return .object([
      "type": .string(type), "name": .string(name.description), "change": .string(change),
      "before": .optional(before?.description),
      "after": .optional(after?.description),
    ])
  }
}
