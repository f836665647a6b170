/// The facts about a path at which this host knows a repository.
package struct PresenceFacts: Hashable, Sendable {
  /// The IDs of the authenticated repositories that this host used there; empty if it stored plain backups only.
  package var known: Set<String>
  /// The ID in the folder's own record; nil if there is no record.
  package var recorded: String?
  /// The IDs in the headers of its archives.
  package var archived: Set<String> = []
  /// Whether it has archives, or other files of a repository of plain backups.
  package var isRepository = false

  package init(known: Set<String>, recorded: String?) {
    self.known = known
    self.recorded = recorded
  }
}

/// Whether a repository that this host knows is still in its place.
package enum RepositoryPresence: Hashable, Sendable {
  case there
  /// There is no repository: the disk is not mounted, or the folder was removed.
  case away
  /// There is another repository.
  case another(String)

  package static func decide(_ facts: PresenceFacts) -> RepositoryPresence {
    guard !facts.known.isEmpty else { return facts.isRepository ? .there : .away }
    if let recorded = facts.recorded, facts.known.contains(recorded) { return .there }
    if !facts.archived.isDisjoint(with: facts.known) { return .there }
    return (facts.archived.min() ?? facts.recorded).map { .another($0) } ?? .away
  }

  /// The reason why nothing is read or stored; nil if the repository is there.
  ///
  /// - Parameters:
  ///   - folder: the path of the repository.
  ///   - states: the files in which this host remembers it.
  package func error(_ folder: String, states: [String]) -> HoldfastError? {
    let anew = "holdfast init --new-repository --backup-dir \(folder.shellWord) begins a new one there on purpose"
    switch self {
    case .there: return nil
    case .away:
      return HoldfastError(
        .refused,
        "the backups that this host stored in \(folder) are not there: a disk that is not mounted, or a folder that was removed",
        hint: "mount the disk or put the folder back; \(anew); "
          + "\((["rm"] + states.map(\.shellWord)).joined(separator: " ")) forgets them")
    case .another(let id):
      return HoldfastError(
        .refused, "\(folder) holds another repository (\(id)) than the one that this host stored backups in",
        hint:
          "mount the right disk or put the folder back; if this one is yours too: holdfast init --new-repository --backup-dir \(folder.shellWord)"
      )
    }
  }
}
