// Paths, names and folders of backups must be one each.
extension DatabaseList {
  /// Two databases in one place are told where the second one is named.
  mutating func findCollisions() {
    find(
      { Self.real($0.path) }, \.origin,
      { "names \($0.path), which \(Self.line($1.origin)) names too" }, hint: "take one of the two out")
    find(
      \.name, \.nameOrigin,
      { "gives the name \($0.name), which \(Self.line($1.nameOrigin)) gives too: \($0.path) and \($1.path)" },
      hint: "give each a name = \"…\" of its own")
    find(
      { Self.real($0.backupDir) }, { $0.settings.given(.backupDir)?.origin ?? $0.origin },
      { "gives \($0.path) the folder of backups of \($1.path): \($0.backupDir)" },
      hint: "give each database a backup_dir of its own")
  }

  private mutating func find(
    _ key: (ConfiguredDatabase) -> String, _ origin: (ConfiguredDatabase) -> Origin,
    _ problem: (ConfiguredDatabase, ConfiguredDatabase) -> String, hint: String
  ) {
    var seen: [String: ConfiguredDatabase] = [:]
    for database in databases {
      if let other = seen[key(database)] {
        problems.append(ConfigurationProblem(at: origin(database), problem(database, other), hint: hint))
      } else {
        seen[key(database)] = database
      }
    }
  }

  private static func line(_ origin: Origin) -> String {
    if case .file(_, let position, _) = origin { return "line \(position.line)" }
    return origin.place
  }
}
