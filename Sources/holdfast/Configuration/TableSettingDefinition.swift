/// The name of a setting in the tables of one kind, such as `[[targets]]` or `[[notify]]`.
protocol TableKey: Hashable, Sendable {
  var name: String { get }
}

/// One row of the table of settings of a target or a channel.
struct TableSettingDefinition<Key: TableKey>: SettingRow {
  let key: Key
  let kind: ValueKind
  let standard: SettingDefinition.Standard
  let summary: String
  let reason: String
  let example: String?
  var name: String { key.name }

  init(
    _ key: Key, _ kind: ValueKind, _ standard: SettingDefinition.Standard, _ summary: String,
    because reason: String, example: String? = nil
  ) {
    (self.key, self.kind, self.standard, self.summary) = (key, kind, standard, summary)
    (self.reason, self.example) = (reason, example)
  }
}
