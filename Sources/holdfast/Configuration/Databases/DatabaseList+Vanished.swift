import BackupEngine
import BackupPolicy

/// Databases that a pattern matched once: their backups are there, and the files are gone. They stay known by their names,
/// so that the agent misses them and a restore finds them.
extension DatabaseList {
  /// - Parameters:
  ///   - names: of the databases that the pattern matches now.
  ///   - folder: `backup_dir`; nil if the backups are beside each database.
  func vanished(_ pattern: PathPattern, besides names: Set<String>, folder: String?) -> [String] {
    let files = SystemFileOperations()
    let bases = folder.map { [$0] } ?? PathPattern("\(pattern.text.parentPath)/backups")?.matches ?? []
    return bases.flatMap { base in
      ((try? files.list(base)) ?? []).sorted().compactMap { name -> String? in
        guard !name.hasPrefix("."), !names.contains(name),
          let path = KnownDatabase.path(of: "\(base)/\(name)", files).flatMap({ pattern.match($0) }),
          pattern.name(of: path) == name, !Self.exists(path)
        else { return nil }
        return path
      }
    }
  }
}
