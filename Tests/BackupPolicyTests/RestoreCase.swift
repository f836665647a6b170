@testable import BackupPolicy

/// A restore to start from: a verified point of 16 MiB, and a healthy WAL database of the same shape at the target.
struct RestoreCase {
  static let id = PointID("backup_20231116_143022")!
  static let path = "/srv/app.db"
  static let file = FileFacts(device: 1, inode: 42, changed: 1_700_000_000_000_000_000, size: 16 << 20)

  var request = RestoreRequest(pointID: id, target: .database(path: path))
  var point = PointFacts(
    Point(
      id: id, created: Timestamp(iso8601: "2023-11-16T14:30:22Z")!, status: .verified, pageCount: 4096, pageSize: 4096),
    imageSize: 16 << 20, archiveSize: 4 << 20, checksum: "ab12")
  var target = TargetFacts(
    path: path,
    state: .database(DatabaseFacts(pageSize: 4096, pageCount: 4096, textEncoding: "UTF-8", journalMode: "wal")),
    size: 16 << 20, identity: file)
  var freeSpaceTarget: Int64 = 1 << 40
  var freeSpaceRepository: Int64 = 1 << 40
  var sameFileSystem = false
  var ownership = FileOwnershipFacts(
    existing: FileAttributes(permissions: 0o640, owner: 1000, group: 1000),
    folder: FileAttributes(permissions: 0o755, owner: 1000, group: 1000),
    process: ProcessFacts(user: 1000, group: 1000, mask: 0o022))

  static let missing = TargetFacts(path: path, state: .missing)
  static let unreadable = TargetFacts(
    path: path, state: .unreadable(reason: "file is not a database"), size: 16 << 20,
    sideFiles: ["app.db-wal", "app.db-journal"], sideFileBytes: 1 << 20, identity: file)

  func with(_ change: (inout RestoreCase) -> Void) -> RestoreCase {
    var copy = self
    change(&copy)
    return copy
  }

  var facts: RestoreFacts {
    RestoreFacts(
      point: point, target: target, freeSpaceTarget: freeSpaceTarget, freeSpaceRepository: freeSpaceRepository,
      sameFileSystem: sameFileSystem, ownership: ownership)
  }

  var decision: RestoreDecision { RestorePolicy.decide(request, facts) }
  var plan: RestorePlan? { if case .plan(let plan) = decision { plan } else { nil } }
  var refusal: RestoreRefusal? { if case .refuse(let refusal) = decision { refusal } else { nil } }
  var kinds: [RestoreStep.Kind]? { plan?.kinds }
}

extension RestorePlan {
  var kinds: [RestoreStep.Kind] { steps.map(\.kind) }

  func step(_ kind: RestoreStep.Kind) -> RestoreStep? { steps.first { $0.kind == kind } }

  func confirmed(_ pageSize: Int, _ pageCount: UInt32, _ encoding: String?) -> RestoreConfirmation {
    RestorePolicy.confirm(self, staged: StagedFacts(pageSize: pageSize, pageCount: pageCount, textEncoding: encoding))
  }
}

extension RestoreConfirmation {
  var plan: RestorePlan? { if case .proceed(let plan) = self { plan } else { nil } }
  var refusal: RestoreRefusal? { if case .refuse(let refusal) = self { refusal } else { nil } }
}
