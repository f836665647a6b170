import BackupEngine
import BackupPolicy
import Names

/// The databases that a pattern stands for, with their names: the files that match now, and those that are gone and whose backups
/// this host knows. The latter stay known by their names, so that the agent misses them and a restore finds them.
struct PatternMatches {
  struct Match {
    var path: String
    var name: String
  }

  private(set) var all: [Match] = []
  private let pattern: PathPattern
  /// `backup_dir`; nil if the backups are beside each database.
  private let folder: String?
  private let files = SystemFileOperations()

  /// - Parameters:
  ///   - paths: the files that match now.
  ///   - states: what this host remembers of repositories.
  init(_ pattern: PathPattern, _ paths: [String], folder: String?, states: [HostState]) {
    (self.pattern, self.folder) = (pattern, folder)
    all = paths.map { Match(path: $0, name: name(of: $0)) }
    for match in recorded() + remembered(states) where isNew(match) { all.append(match) }
  }

  private func isNew(_ match: Match) -> Bool {
    !all.contains { $0.name.isExactly(match.name) || $0.path.isExactly(match.path) }
  }

  private func base(of path: String) -> String { folder ?? Engine.defaultFolder(of: path) }

  /// The pattern's name, unless the database has its backups under the name that an earlier version gave it.
  private func name(of path: String) -> String {
    let names = pattern.names(of: path)
    guard names[0] != names[1], !DatabaseList.exists("\(base(of: path))/\(names[0])"),
      let owner = KnownDatabase.path(of: "\(base(of: path))/\(names[1])", files),
      owner.isExactly(DatabaseList.real(path))
    else { return names[0].text }
    return names[1].text
  }

  /// Databases that are gone, by the repositories that are there.
  private func recorded() -> [Match] {
    let bases = folder.map { [$0] } ?? PathPattern("\(pattern.text.parentPath)/backups")?.matches ?? []
    return bases.flatMap { base in
      ((try? files.list(base)) ?? []).sorted().compactMap { name -> Match? in
        guard !name.hasPrefix("."), let path = KnownDatabase.path(of: "\(base)/\(name)", files) else { return nil }
        return match(path, name)
      }
    }
  }

  /// Databases that are gone, and their repositories as well: the disk with both is not mounted, or somebody removed them.
  ///
  /// A folder that still has the repositories of others is mounted; there one was moved or removed on purpose.
  private func remembered(_ states: [HostState]) -> [Match] {
    states.sorted { $0.repositoryPath < $1.repositoryPath }.compactMap { state -> Match? in
      guard let path = state.databasePath?.text, !hasRepositories(state.repositoryPath.parentPath) else { return nil }
      let name = state.repositoryPath.lastComponent
      guard let match = match(path, name) else { return nil }
      let expected = DatabaseList.real("\(base(of: match.path))/\(name)")
      return expected.isExactly(state.repositoryPath) ? match : nil
    }
  }

  /// - Parameter path: links resolved.
  private func match(_ path: String, _ name: String) -> Match? {
    guard let path = pattern.match(path), pattern.names(of: path).contains(ExactPath(name)), !DatabaseList.exists(path)
    else { return nil }
    return Match(path: path, name: name)
  }

  private func hasRepositories(_ folder: String) -> Bool {
    ((try? files.list(folder)) ?? []).contains {
      DatabaseList.exists("\(folder)/\($0)/.state") || DatabaseList.exists("\(folder)/\($0)/.metadata")
    }
  }
}

extension StandardFolders {
  /// What this host remembers of the repositories in which it stored backups; empty if that cannot be read, which every command
  /// reports when it opens a repository.
  func statesOfStoredBackups() -> [HostState] {
    guard let folder = try? state() else { return [] }
    return (try? HostStateStore(folder: folder, files: SystemFileOperations()).statesOfStoredBackups()) ?? []
  }
}
