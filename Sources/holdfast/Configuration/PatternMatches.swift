import BackupEngine
import BackupPolicy
import Names

/// The databases that a pattern stands for, with their names: the files that match now, and those that are gone and whose
/// backups this host knows. The latter keep their names, so that the agent reports them and a restore finds them.
struct PatternMatches {
  struct Match {
    var path: String
    var name: String
    /// Why commands do not touch the database; nil if nothing is in the way.
    var refusal: HoldfastError?
  }

  private(set) var all: [Match] = []
  private let pattern: PathPattern
  /// `backup_dir`; nil if the backups are beside each database.
  private let folder: String?
  private let files = SystemFileOperations()

  /// - Parameters:
  ///   - paths: the files that match now.
  ///   - states: this host's records of repositories.
  init(_ pattern: PathPattern, _ paths: [String], folder: String?, states: [HostState]) {
    (self.pattern, self.folder) = (pattern, folder)
    let found = ownersFirst(paths.map { Match(path: $0, name: name(of: $0)) })
    // The host's own state counts before the repository's: others can write the latter.
    var gone: [Match] = []
    for match in remembered(states) + recorded() {
      let isKnown = gone.contains { $0.path.isExactly(match.path) || $0.name.isExactly(match.name) }
      if !isKnown { gone.append(match) }
    }
    all = found.map { refusing($0, gone) } + gone
  }

  /// Of several files with one name, the one whose backups are in the folder of that name keeps it.
  private func ownersFirst(_ matches: [Match]) -> [Match] {
    let isUnique = Dictionary(grouping: matches) { ExactPath($0.name) }.mapValues { $0.count == 1 }
    let owners = matches.filter { match in
      isUnique[ExactPath(match.name)] == false
        && KnownDatabase.path(of: folder(of: match.path, match.name), files)?
          .isExactly(DatabaseList.real(match.path)) == true
    }
    return owners + matches.filter { match in !owners.contains { $0.path.isExactly(match.path) } }
  }

  /// A file with the name of a database that is gone is refused: its backups would join the other's, and a restore by name
  /// would write one into the other.
  private func refusing(_ match: Match, _ gone: [Match]) -> Match {
    guard let other = gone.first(where: { $0.name.isExactly(match.name) }) else { return match }
    var match = match
    match.refusal = HoldfastError(
      .usage,
      "\(match.name.printable) names two databases: \(match.path.printable), "
        + "and \(other.path.printable), which no longer exists",
      hint: "if the file was renamed: holdfast create --database \(match.path.shellWord) "
        + "--backup-dir \(folder(of: match.path, match.name).shellWord); "
        + "if not, give one of the two a [[databases]] table with a name of its own")
    return match
  }

  private func base(of path: String) -> String { folder ?? Engine.defaultFolder(of: path) }
  private func folder(of path: String, _ name: String) -> String { "\(base(of: path))/\(name)" }

  /// The pattern's name, unless the database has its backups under the name that an earlier version
  /// gave it.
  private func name(of path: String) -> String {
    let names = pattern.names(of: path)
    guard names[0] != names[1], !DatabaseList.exists(folder(of: path, names[0].text)),
      let owner = KnownDatabase.path(of: folder(of: path, names[1].text), files),
      owner.isExactly(DatabaseList.real(path))
    else { return names[0].text }
    return names[1].text
  }

  /// Lost databases, by the existing repositories.
  private func recorded() -> [Match] {
    let bases = folder.map { [$0] } ?? PathPattern("\(pattern.text.parentPath)/backups")?.matches ?? []
    return bases.flatMap { base in
      ((try? files.list(base)) ?? []).sorted().compactMap { name -> Match? in
        guard !name.hasPrefix("."), let owner = KnownDatabase.path(of: "\(base)/\(name)", files),
          let path = pattern.match(owner), pattern.names(of: path).contains(ExactPath(name))
        else { return nil }
        return missing(path, name)
      }
    }
  }

  /// Databases that are gone, by the states of this host: also if their repositories are gone, because a disk is not mounted or
  /// they were removed.
  private func remembered(_ states: [HostState]) -> [Match] {
    states.compactMap { state -> Match? in
      let given = state.givenDatabases.sorted { $0.text < $1.text }.compactMap { pattern.spelling(of: $0.text) }
      let resolved = state.databasePath.flatMap { pattern.match($0.text) }
      for path in given + (resolved.map { [$0] } ?? []) {
        for name in pattern.names(of: path) where isFolder(of: path, name.text, in: state) {
          if let match = missing(path, name.text) { return match }
        }
      }
      return nil
    }
  }

  /// Whether this configuration has the backups of the database where the state says.
  private func isFolder(of path: String, _ name: String, in state: HostState) -> Bool {
    let folder = folder(of: path, name).absolutePath
    return state.folders.contains(ExactPath(folder)) || state.folders.contains(ExactPath(DatabaseList.real(folder)))
  }

  private func missing(_ path: String, _ name: String) -> Match? {
    DatabaseList.exists(path) ? nil : Match(path: path, name: name)
  }
}
