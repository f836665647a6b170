import BackupEngine
import BackupPolicy
import Synchronization
import TestSupport

/// The number of rows of table `t` in a backup, found by a restore because an incremental's
/// metadata does not record it. Each backup is restored once.
final class PointRows: Sendable {
  private let folder: TemporaryFolder
  /// By repository and ID: backups of the same second in two repositories have the same ID.
  private let known = Mutex<[String: Int64]>([:])

  init(_ folder: TemporaryFolder) {
    self.folder = folder
  }

  func count(_ id: PointID, _ engine: Engine) throws -> Int64 {
    let name = "\(engine.folder)/\(id)"
    if let count = known.withLock({ $0[name] }) { return count }
    let path = folder.path("rows-\(UInt64.random(in: 0 ... .max)).db")
    guard case .plan(let plan) = try engine.planRestore(RestoreRequest(pointID: id, target: .newFile(path: path)))
    else { throw HoldfastError(.failed, "\(id) cannot be restored") }
    _ = try engine.restore(plan)
    defer { try? SystemFileOperations().unlink(path) }
    let rows = try DatabaseApplication(path).value("SELECT count(*) FROM t").flatMap { Int64($0) } ?? -1
    known.withLock { $0[name] = rows }
    return rows
  }
}
