import BackupPolicy
import SQLitePages

/// What the live database holds now, as a private file that is read at leisure: the application waits no longer than the copy
/// takes, and its log is not kept from being reset.
struct LiveCopy {
  let connection: DatabaseConnection

  init(of database: String, in repository: Repository, _ environment: EngineEnvironment, _ progress: Progress) throws {
    let files = environment.files
    let folder = try repository.scratchFolder()
    let live = try onDatabase {
      try DatabaseConnection(path: database, access: .observer, busyTimeout: environment.busyTimeout)
    }
    defer { environment.close(live) }
    let snapshot = try onDatabase {
      try DatabaseSnapshot(
        live, scratchPath: "\(folder)/.tmp-copy", patience: Int(environment.busyTimeout))
    }
    defer { snapshot.end() }
    let source = SnapshotSource(snapshot: snapshot)
    try files.requireRoom(for: source.imageSize, toRead: database, in: folder)
    connection = try Leftovers.withFile("\(folder)/.tmp-copy", files, .createPrivate) { file in
      try source.copy(to: file, files, progress, as: "reading")
      return try onDatabase { try DatabaseConnection(unlinking: file.path, files) }
    }
  }
}
