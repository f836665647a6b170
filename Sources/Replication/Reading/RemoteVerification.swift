import BackupEngine
import BackupPolicy

extension RemoteReader {
  /// Why the key proves none of the names in a list; nil if it proves the newest of them, or if there
  /// is no key.
  ///
  /// - Throws: `interrupted`. All other failures are reasons.
  package func doubtAboutNames() throws -> String? {
    let repository = try open()
    guard !credentials.isEmpty, let newest = repository.contents.candidates.first(where: \.name.archive.encrypted)
    else { return nil }
    do {
      switch try verdict(newest, in: repository, headOnly: true) {
      case .usable: return nil
      case .unproved(let error): return "these names cannot be authenticated: \(error.message)"
      case .damaged(let lost): return "\(newest.id) cannot be restored: \(lost.text(for: newest.id))"
      }
    } catch let error as HoldfastError where error.code != .interrupted {
      return "these names were not authenticated: \(error.message)"
    }
  }

  /// All backups, chain by chain, the newest first.
  package func chains() throws -> [[RemoteBackup]] {
    let repository = try open()
    try repository.listAll()
    let backups = repository.contents.backups
    let chains = Dictionary(grouping: backups, by: \.name.chain)
    return chains.keys.sorted(by: >).map { chains[$0] ?? [] }
  }

  /// Fetches the archives that a backup needs.
  ///
  /// - Returns: the reason why it cannot be read as a failure.
  /// - Throws: failures that all backups share: of the network, the store, or this machine.
  package func fetch(_ backup: RemoteBackup) throws -> Result<Void, HoldfastError> {
    do {
      guard try open().contents.way(to: backup.id) != nil else {
        throw HoldfastError(.verificationFailed, "an archive that it needs is missing or damaged")
      }
      try fetch([RemoteChoice(backup: backup, byTime: nil, metadata: nil, warnings: [])])
      return .success(())
    } catch let error as HoldfastError where [.verificationFailed, .unauthenticated].contains(error.code) {
      return .failure(error)
    }
  }
}
