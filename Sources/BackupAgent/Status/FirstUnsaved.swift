import BackupEngine
import BackupPolicy

/// The first write to a database that a look at its files found in no backup, in this host's state
/// folder.
///
/// The files show their last write only: while an application writes all the time, each look would
/// find a write of a moment ago, and no limit would ever be reached.
package struct FirstUnsaved {
  private let path: String
  private let environment: EngineEnvironment

  /// - Parameter path: of the database.
  package init(_ path: String, _ environment: EngineEnvironment) {
    (self.path, self.environment) = (path, environment)
  }

  private var folder: String { "\(environment.stateFolder)/unsaved" }
  private var file: String { get throws { "\(folder)/\(try path.fileNameHash(bytes: 8)).json" } }

  /// Records a look that found a write after the newest backup.
  ///
  /// - Parameters:
  ///   - write: the last write.
  ///   - newest: the newest backup; nil without one.
  /// - Returns: the first write that a look found since that backup.
  package func record(_ write: Timestamp, after newest: PointID?) -> Timestamp {
    if let known = load(after: newest), known <= write { return known }
    let record = JSONValue.object([
      "path": .string(path), "newest": .optional(newest?.text), "since": .string(write.iso8601),
    ])
    do {
      try environment.files.makeFolders(folder)
      try environment.files.replace(file, with: record.encoded(), durable: false)
    } catch {
      // Without the record each look shows the last write, as the files do.
      environment.logger.debug("the first unsaved write of \(path) is not recorded: \(error)")
    }
    return write
  }

  private func load(after newest: PointID?) -> Timestamp? {
    guard let bytes = try? environment.files.contents(file, limit: 1 << 16),
      case .object(let keys)? = JSONValue(parsing: bytes), keys["path"] == .string(path),
      keys.text("newest") == newest?.text
    else { return nil }
    return keys.time("since")
  }

  /// A look found everything saved.
  package func forget() { if let file = try? file { try? environment.files.unlink(file) } }
}
