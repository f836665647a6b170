import BackupEngine
import BackupPolicy

/// Where a database's password and key come from, so that the agent notices when its next start would find other ones.
package struct CredentialSource: Sendable {
  /// The key file and the password file.
  package var paths: [String]
  /// Reads them again; it may block.
  package var read: @Sendable () throws -> Credentials

  package init(paths: [String], read: @escaping @Sendable () throws -> Credentials) {
    self.paths = paths
    self.read = read
  }
}

/// Whether the key that the agent has in memory is still the one that people have in their files. Blocks.
struct KeyCheck: Sendable {
  let service: BackupService
  let source: CredentialSource?
  /// Whether to try the key on the newest backup, too.
  let triesNewest: Bool

  /// - Returns: what is wrong; nil if nothing is.
  func problem() -> HoldfastError? {
    do {
      try compare()
      try tryNewest()
      return nil
    } catch {
      return error as? HoldfastError ?? HoldfastError(.failed, "the key was not checked: \(error)")
    }
  }

  private func compare() throws {
    guard let source, !source.paths.isEmpty else { return }
    let names = source.paths.joined(separator: " or ")
    let found: Credentials
    do {
      found = try source.read()
    } catch let error as HoldfastError {
      throw HoldfastError(
        .keyMissing, "\(error.message); the agent goes on with the key that it read before, and could not start again",
        hint: "put the key file back: backups cannot be read without it")
    }
    guard !found.matches(service.credentials) else { return }
    throw HoldfastError(
      .wrongKey, "the key in \(names) is another one now; backups go on under the key that the agent started with",
      hint: "put the file back, because backups cannot be read without it; a new key needs a new backup folder")
  }

  private func tryNewest() throws {
    guard triesNewest, try service.environment.files.status(service.folder) != nil else { return }
    do {
      try service.requireKey(to: service.point("latest"))
    } catch let error as HoldfastError where [.wrongKey, .keyMissing].contains(error.code) {
      throw error
    } catch {
      // A repository without a backup, or one that cannot be read: the first backup reports it.
    }
  }
}
