import BackupEngine
import BackupPolicy
import Names
import ObjectStorage
import Replication
import TestSupport

/// A database, its repository, and a folder as a target.
struct ReplicationBed {
  let bed: TestBed
  let store: any ObjectStore
  var target: Target

  init(interval: Int64 = 0, retention: RetentionPolicy = RetentionPolicy(), store: (any ObjectStore)? = nil) throws {
    bed = try TestBed()
    try SystemFileOperations().makeFolder(bed.folder.path("nas"))
    self.store = store ?? FolderStore(bed.folder.path("nas"))
    var settings = TargetSettings(name: "nas", retention: retention)
    settings.interval = interval
    target = try Target(name: "nas", address: bed.folder.path("nas"), settings: settings)
    try bed.makeDatabase(rows: 50)
  }

  func replicator(_ engine: Engine? = nil) -> Replicator {
    Replicator(engine: engine ?? bed.engine(), target: target, store: store)
  }

  /// Changes the database and stores the change.
  @discardableResult
  func change(_ number: Int, after seconds: Int64 = 10) throws -> PointMetadata {
    bed.time.advance(seconds: seconds)
    try bed.change("INSERT INTO entries(text) VALUES ('change \(number)')")
    var request = CreateRequest()
    request.reason.type = .change
    return try bed.storeIncremental(.key, request)
  }

  /// The names of all archives in the target.
  func archives() throws -> [RemoteName] {
    try store.listAll(ListQuery()).objects.compactMap { object in
      guard case .archive(let name)? = RemoteKey(object.key)?.object else { return nil }
      return name
    }
  }

  func writers() throws -> [WriterName] {
    try store.listAll(ListQuery()).objects.compactMap { object in
      guard case .writer(let name)? = RemoteKey(object.key)?.object else { return nil }
      return name
    }
  }

  /// The image of a backup, as another host reads it with the address and the key alone.
  func read(_ reference: RemoteReference) throws -> [UInt8] {
    var environment = bed.environment()
    environment.stateFolder = bed.folder.path("reader-state")
    var options = RemoteReaderOptions()
    options.records = { WriterRecordFile.reader(TestBed.credentials(.key), repositoryID: $0) }
    let reader = try RemoteReader(
      BackupSources([BackupSource(address: "nas", store: store)]), TestBed.credentials(.key), environment, options,
      progress: Progress())
    defer { reader.folder.remove() }
    let choice = try reader.choose(reference)
    try reader.fetch([choice])
    let path = bed.folder.path("read.db")
    try? SystemFileOperations().unlink(path)
    let request = RestoreRequest(pointID: choice.backup.id, target: .newFile(path: path))
    guard case .plan(let plan) = try reader.engine().planRestore(request) else {
      throw HoldfastError(.failed, "no plan")
    }
    _ = try reader.engine().restore(plan)
    return try bed.image(at: path)
  }

  /// The image of a backup, restored from the target alone on another host.
  func restored(_ id: PointID) throws -> [UInt8] {
    let folder = bed.folder.path("fetched-\(id)")
    let files = SystemFileOperations()
    try files.makeFolder(folder)
    for object in try store.listAll(ListQuery()).objects {
      guard case .archive(let name)? = RemoteKey(object.key)?.object else { continue }
      let bytes = try store.get(object.key, limit: 64 << 20)
      // Two archives of one backup: the one with fewer needs wins, as a reader chooses.
      _ = try bed.folder.write("fetched-\(id)/\(name.archive.text)", bytes)
    }
    var environment = bed.environment()
    environment.stateFolder = bed.folder.path("other-host")
    let engine = Engine(
      database: bed.database, folder: folder, credentials: TestBed.credentials(.key), environment: environment)
    let output = bed.folder.path("restored-\(id).db")
    let request = RestoreRequest(pointID: id, target: .newFile(path: output))
    guard case .plan(let plan) = try engine.planRestore(request) else { throw HoldfastError(.failed, "no plan") }
    _ = try engine.restore(plan)
    return try bed.image(at: output)
  }
}
