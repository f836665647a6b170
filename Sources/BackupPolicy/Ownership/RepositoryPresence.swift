import Names

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

/// The facts about the folder in which a new repository is about to be made.
package struct NewRepositoryFacts: Hashable, Sendable {
  /// The path of the new repository, links resolved.
  package var folder: String
  /// The entries of the folder above it; nil if that does not exist either.
  package var neighbours: [String]?
  /// The repositories in which this host stored backups.
  package var known: [String]

  package init(folder: String, neighbours: [String]?, known: [String]) {
    (self.folder, self.neighbours, self.known) = (folder, neighbours, known)
  }

  var base: String { folder.parentPath }
}

/// Whether a new repository may be made in a folder.
package enum NewRepositoryPlace: Hashable, Sendable {
  case usable
  /// The folder is empty, and this host knows a repository of another database in it: probably a
  /// mount point without its disk.
  case withoutDisk(known: String)

  package static func decide(_ facts: NewRepositoryFacts) -> NewRepositoryPlace {
    guard (facts.neighbours ?? []).allSatisfy({ $0 == "lost+found" }) else { return .usable }
    let other = facts.known.first { $0.parentPath.isExactly(facts.base) && !$0.isExactly(facts.folder) }
    return other.map { .withoutDisk(known: $0) } ?? .usable
  }

  /// The reason why no repository is made; nil if the place is usable.
  ///
  /// - Parameter given: the path of the new repository as the user gave it, absolute.
  package func error(_ facts: NewRepositoryFacts, given: String) -> HoldfastError? {
    guard case .withoutDisk(let known) = self else { return nil }
    return HoldfastError(
      .refused, "\(facts.base) is empty, and this host stored the backups of another database in \(known)",
      hint: "mount the disk; if those backups were removed on purpose, "
        + "holdfast init --new-repository --backup-dir \(given.shellWord) begins here anew")
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
