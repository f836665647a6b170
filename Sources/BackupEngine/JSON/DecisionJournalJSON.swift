import BackupPolicy

/// As the agent stores and sends it, and as `status --why` prints it.
extension DecisionJournal {
  package var json: JSONValue { .array(entries.map(\.json)) }

  /// Reads the array of ``json``; entries that make no sense are left out.
  package init?(_ json: JSONValue?) {
    guard case .array(let items)? = json else { return nil }
    self.init(items.compactMap { Entry($0) })
  }
}

extension DecisionJournal.Entry {
  package var json: JSONValue {
    .object([
      "first": .string(first.iso8601), "last": .string(last.iso8601), "count": .integer(Int64(count)),
      "kind": .string(kind), "reason": .string(reason),
    ])
  }

  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, let first = keys.time("first"), let last = keys.time("last"),
      let count = keys.integer("count"), let kind = keys.text("kind"), let reason = keys.text("reason"), count > 0
    else { return nil }
    self.init(first: first, last: last, count: Int(count), kind: kind, reason: reason)
  }
}
