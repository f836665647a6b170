import BackupEngine
import BackupPolicy
import Glibc
import Names
import ObjectStorage
import Replication
import TestSupport
import Testing
import Transfer

/// Keys that moto accepts, as it accepts any.
struct AnyCredentials: CredentialSource {
  func current(now: Int64) throws(StoreError) -> StoreCredentials {
    StoreCredentials(keyID: "testing", secret: Secret("testing"), source: "test")
  }
  func invalidate(_ credentials: StoreCredentials) {}
}

/// A machine whose target is a bucket behind a proxy that makes mistakes. Every case of a sweep
/// begins with the same state of the machine and of the bucket.
final class SweepBed {
  let bed: TestBed
  let proxy: FaultProxy
  let target: Target
  /// The numbers of the backups that the target must hold in the end.
  private(set) var sequences: [Int64] = []
  /// The pages of the database in each backup.
  private(set) var images: [PointID: [UInt8]] = [:]
  private let loop = TransferLoop(name: "sweep")
  private var settings = S3Settings()
  /// The objects of the bucket at the start of each case.
  private var objects: [String: [UInt8]] = [:]
  private(set) var bucket: MotoBucket

  /// - Parameters:
  ///   - partSize: bytes; larger archives are uploaded in parts. Nil: no archive is.
  ///   - shipped: incrementals that the target has at the start; nil for an empty one that was
  ///     never used.
  ///   - unshipped: backups that are stored behind them.
  init(partSize: Int64? = nil, shipped: Int?, unshipped: Int) throws {
    bed = try TestBed()
    proxy = try FaultProxy(to: try MotoServer.url())
    bucket = try MotoBucket("sweep")
    var targetSettings = TargetSettings(name: "s3", retention: RetentionPolicy())
    targetSettings.interval = 0
    target = try Target(
      name: "s3", address: "s3://bucket/some/prefix?endpoint=\(proxy.url)&region=us-east-1", settings: targetSettings)
    if let partSize {
      (settings.multipartThreshold, settings.partSize, settings.parallelParts) = (partSize, partSize, 1)
    }
    settings.pause = { _ in }
    try bed.makeDatabase(rows: 40)
    if let shipped {
      try add(bed.engine().create(CreateRequest()))
      for _ in 0..<shipped { try addChange() }
      proxy.prepare(nil, bucket: bucket.name)
      #expect(try run().put.count == shipped + 1)
      objects = try bucket.objects()
    } else {
      try add(bed.engine().create(CreateRequest()))
    }
    for _ in 0..<unshipped { try addChange() }
    try copyFolder(from: "state", to: "saved-state")
  }

  private func add(_ point: PointMetadata) throws {
    sequences.append(Int64(point.sequence ?? 0))
    images[point.id] = try bed.image()
  }

  /// Stores a change.
  func addChange() throws {
    bed.time.advance(seconds: 10)
    try bed.change("INSERT INTO entries(text) VALUES ('change \(sequences.count)')")
    var request = CreateRequest()
    request.reason.type = .change
    try add(try bed.storeIncremental(.key, request))
  }

  private func copyFolder(from source: String, to copy: String) throws {
    let script = "rm -rf \"$2\" && mkdir -p \"$1\" && cp -a \"$1\" \"$2\""
    let result = try Shell.run("sh", ["-c", script, "sh", bed.folder.path(source), bed.folder.path(copy)])
    guard result.status == 0 else { throw HoldfastError(.failed, result.stderr) }
  }

  // MARK: One case

  /// Goes back to the start.
  func reset() throws {
    bucket = try MotoBucket("sweep", holding: objects)
    try copyFolder(from: "saved-state", to: "state")
  }

  func prepare(_ fault: FaultProxy.Fault?, at number: Int = 1) {
    proxy.prepare(fault, at: number, bucket: bucket.name)
  }

  /// A store behind the proxy.
  ///
  /// - Parameters:
  ///   - attempts: of each request.
  ///   - stallLimit: milliseconds.
  func store(attempts: Int = 1, stallLimit: Int64 = 60_000) throws -> any ObjectStore {
    guard case .s3(let location) = target.url else { throw HoldfastError(.failed, "not a bucket") }
    var transfer = TransferSettings(version: "test")
    (transfer.proxy, transfer.stallLimit) = (.none, stallLimit)
    var settings = settings
    settings.attempts = attempts
    return S3Store(location, credentials: AnyCredentials(), client: loop.client(transfer), settings: settings)
  }

  /// As after a start of the agent.
  func replicator(_ store: (any ObjectStore)? = nil) throws -> Replicator {
    Replicator(engine: bed.engine(), target: target, store: try store ?? self.store())
  }

  /// A copy of the machine, its state included.
  func clone() throws -> Replicator {
    try copyFolder(from: "state", to: "clone-state")
    try copyFolder(from: "backups", to: "clone")
    var environment = bed.environment()
    (environment.stateFolder, environment.host) = (bed.folder.path("clone-state"), "clone-host")
    let engine = Engine(
      database: bed.database, folder: bed.folder.path("clone"), credentials: TestBed.credentials(.key),
      environment: environment)
    return Replicator(engine: engine, target: target, store: try store())
  }

  /// Runs a replicator. A child that another test starts holds the locks of all open files for a
  /// moment, until it becomes its program.
  func run(_ replicator: Replicator) throws -> ReplicationOutcome {
    for _ in 0..<6000 {
      do {
        return try replicator.run()
      } catch let error as HoldfastError where error.code == .busy {
        usleep(10_000)
      }
    }
    return try replicator.run()
  }

  func run() throws -> ReplicationOutcome { try run(try replicator()) }

  // MARK: The truth

  /// The archives in the bucket, past the proxy.
  func archives() throws -> [RemoteName] {
    try bucket.keys().compactMap { key in
      guard case .archive(let name)? = RemoteKey(String(key.dropFirst("some/prefix/".count)))?.object else {
        return nil
      }
      return name
    }
  }

  /// Every backup is in the bucket once, with the bytes of its name.
  func checkBucket() throws {
    let names = try archives()
    #expect(names.map(\.sequence).sorted() == sequences)
    for (key, bytes) in try bucket.objects() {
      guard case .archive(let name)? = RemoteKey(String(key.dropFirst("some/prefix/".count)))?.object else { continue }
      let hash = ObjectContent(bytes).sha256.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      #expect(Int64(bytes.count) == name.bytes && hash == name.hash, "\(key)")
    }
  }

  /// Restores a backup on a machine that has only the address and the key.
  ///
  /// - Returns: the backup, and whether its content is right.
  func restore(_ reference: RemoteReference = .latest, _ store: (any ObjectStore)? = nil) throws -> (
    id: PointID, isRight: Bool
  ) {
    var environment = bed.environment()
    environment.stateFolder = bed.folder.path("reader-state")
    let source = BackupSource(address: "s3", store: try store ?? self.store())
    var options = RemoteReaderOptions()
    options.records = { WriterRecordFile.reader(TestBed.credentials(.key), repositoryID: $0) }
    let reader = try RemoteReader(
      BackupSources([source]), TestBed.credentials(.key), environment, options, progress: Progress())
    defer { reader.folder.remove() }
    let choice = try reader.choose(reference)
    try reader.fetch([choice])
    let path = bed.folder.path("restored.db")
    try? SystemFileOperations().unlink(path)
    let request = RestoreRequest(pointID: choice.backup.id, target: .newFile(path: path))
    switch try reader.engine().planRestore(request) {
    case .plan(let plan): _ = try reader.engine().restore(plan)
    case .refuse(let refusal): throw refusal.error
    }
    return (choice.backup.id, try bed.image(at: path) == images[choice.backup.id])
  }
}
