import BackupPolicy

/// Whether the repository that this host knows at a path is there.
extension Repository {
  /// - Throws: `refused` if it is not: a new one in an empty mount point would hide that backups are missing.
  func requirePresence() throws {
    guard let facts = try presenceFacts() else { return }
    if let error = RepositoryPresence.decide(facts).error(folder) { throw error }
  }

  /// Nil if this host stored nothing at this path.
  private func presenceFacts() throws -> PresenceFacts? {
    guard let state = try hostStates.load(path: folder, repositoryID: { nil }), state.isOfStoredBackups else {
      return nil
    }
    var facts = PresenceFacts(known: state.repositoryIDs, recorded: storedIdentity()?.id.hex)
    // The usual case costs no look at the archives.
    if let recorded = facts.recorded, facts.known.contains(recorded) { return facts }
    guard try files.status(folder)?.kind == .folder else { return facts }
    let names = try files.list(folder)
    facts.isRepository = names.contains { $0 == ".state" || ArchiveName($0) != nil }
    for name in names where ArchiveName(name)?.encrypted == true && facts.archived.isDisjoint(with: facts.known) {
      if let id = repositoryID(ofArchive: name) { facts.archived.insert(id) }
    }
    return facts
  }

  /// From an archive's head; nil if it has none.
  func repositoryID(ofArchive name: String) -> String? {
    guard let file = try? files.open(path(name), .readNoFollow) else { return nil }
    defer { files.close(file) }
    return (try? SealedHeader(file, files))?.header.repositoryID.hex
  }

  /// Begins a repository at a path at which this host knows another one. The other stays known: its backups are this host's
  /// own as soon as they are back.
  ///
  /// A repository that is there already is taken over if the key opens it.
  ///
  /// - Throws: `wrongKey`, `keyMissing` if the key does not open the repository that is there.
  func beginAnew(iterations: UInt32) throws {
    guard var state = try hostStates.load(path: folder, repositoryID: { nil }), state.isOfStoredBackups else { return }
    guard let facts = try presenceFacts(), RepositoryPresence.decide(facts) != .there else { return }
    let identity: RepositoryIdentity
    if let head = try newestHead(try everything(warns: false), known: []) {
      _ = try head.unlock(credentials)
      identity = try RepositoryIdentity(head, iterations: iterations)
    } else {
      identity = try .fresh(iterations: iterations)
    }
    try files.replace(path(".state/repository.json"), with: identity.json.encoded())
    // Without encryption nothing bears an ID.
    guard !state.repositoryIDs.isEmpty else { return }
    state.use(identity.id.hex)
    try hostStates.save(state)
  }
}
