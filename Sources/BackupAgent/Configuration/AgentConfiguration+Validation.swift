import BackupEngine
import BackupPolicy

extension GuardedDatabase {
  /// What makes it the same database before and after a reload: its file and its repository, not its name.
  struct Identity: Hashable, Sendable {
    var database: ExactName
    var folder: ExactName
  }

  var identity: Identity {
    Identity(
      database: ExactName(service.database ?? ""), folder: ExactName(WatchedPath(service.folder).resolved))
  }
}

extension AgentConfiguration {
  /// - Throws: `usage` where it cannot be meant so, `keyMissing` where backups shall be encrypted without a key.
  package func validate() throws {
    guard !databases.isEmpty || patterns != nil else {
      throw HoldfastError(.usage, "no database is named", hint: "use --database PATH, or set DATABASE_URL")
    }
    var names: Set<ExactName> = []
    var folders: Set<ExactName> = []
    for database in databases {
      try database.requireEssentials()
      guard names.insert(ExactName(database.name)).inserted else {
        throw HoldfastError(
          .usage, "two databases are called \(database.name)", hint: "give each a name of its own")
      }
      guard folders.insert(database.identity.folder).inserted else {
        throw HoldfastError(
          .usage, "two databases have the backup folder \(database.service.folder)",
          hint: "give each a backup folder of its own")
      }
    }
  }
}

extension GuardedDatabase {
  /// A database, and a key where backups are encrypted.
  func requireEssentials() throws {
    _ = try service.requireDatabase()
    guard settings.request.encrypt, service.credentials.isEmpty else { return }
    throw HoldfastError(
      .keyMissing, "backups are encrypted, and neither a password nor a key is given",
      hint: "holdfast init makes a key file, BACKUP_ENCRYPTION_PASSWORD gives a password, --no-encrypt does without")
  }
}
