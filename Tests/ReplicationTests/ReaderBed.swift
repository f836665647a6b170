import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport

/// A repository, a copy of it in a target, and readers of the target.
final class ReaderBed {
  let bed: TestBed
  var target: TargetCopy
  /// A chain of a full and three incrementals, the oldest first.
  let points: [PointMetadata]
  let store: CountingStore
  var ids: [PointID] { points.map(\.id) }

  init(_ secret: TestBed.Secret = .key, incrementals: Int = 3) throws {
    bed = try TestBed()
    var archive = ArchiveOptions()
    archive.encrypt = secret != .none
    points = try bed.makeChain(secret, CreateRequest(archive, for: BackupReason(.change)), incrementals: incrementals)
    target = try TargetCopy(bed.folder.path("target"))
    try target.copy(from: bed.backups)
    store = CountingStore(FolderStore(target.folder))
  }

  func source() -> BackupSource { BackupSource(address: "nas", store: store) }

  func reader(
    _ sources: [BackupSource]? = nil, _ secret: TestBed.Secret = .key, progress: Progress = Progress(),
    _ change: (inout RemoteReaderOptions) -> Void = { _ in }
  ) throws -> RemoteReader {
    try reader(sources, TestBed.credentials(secret), progress: progress, change)
  }

  func reader(
    _ sources: [BackupSource]?, _ credentials: Credentials, progress: Progress = Progress(),
    _ change: (inout RemoteReaderOptions) -> Void = { _ in }
  ) throws -> RemoteReader {
    var options = RemoteReaderOptions()
    change(&options)
    return try RemoteReader(
      BackupSources(sources ?? [source()]), credentials, bed.environment(), options, progress: progress)
  }

  /// Chooses a backup, fetches it, and returns its ID and the pages of the database in it.
  func read(_ reference: RemoteReference, _ reader: RemoteReader) throws -> (choice: RemoteChoice, image: [UInt8]) {
    let choice = try reader.choose(reference)
    try reader.fetch([choice])
    let path = bed.folder.path("read-\(choice.backup.id).db")
    try? SystemFileOperations().unlink(path)
    let engine = bed.engine()
    let request = RestoreRequest(
      pointID: choice.backup.id, target: .newFile(path: path), acceptUnauthenticated: reader.acceptsUnauthenticated)
    switch try engine.planRestore(request, from: reader.engine()) {
    case .plan(let plan): _ = try engine.restore(plan, from: reader.engine())
    case .refuse(let refusal): throw refusal.error
    }
    return (choice, try bed.folder.read("read-\(choice.backup.id).db") ?? [])
  }

  /// Whether nothing is left of fetched archives.
  func isClean() throws -> Bool {
    let scratch = bed.folder.path("state/scratch")
    return try SystemFileOperations().list(scratch).isEmpty
  }
}

/// Runs `body`, which must throw a `HoldfastError` of this code, and returns it.
func failure(_ code: HoldfastError.Code, _ body: () throws -> Void) throws -> HoldfastError {
  do {
    try body()
  } catch let error as HoldfastError where error.code == code {
    return error
  }
  throw HoldfastError(.failed, "it did not fail with \(code)")
}
