import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage
import Replication
import TestSupport

/// A random history of machines that share one target: copies and rollbacks of each other, outages,
/// take-overs and lost objects. They are real engines and replicators; the model only knows the
/// content of every archive, and which puts were acknowledged.
///
/// The machines have the same paths, as clones do: the files of all but one are set aside.
final class FleetHistory {
  final class Machine {
    let name: String
    var replicator: Replicator?
    /// The content of each backup that it stored, or that the machine it was copied from stored.
    var images: [PointID: [UInt8]] = [:]
    /// The same at the last snapshot; nil before the first.
    var snapshot: [PointID: [UInt8]]?

    init(_ name: String) { self.name = name }
  }

  let seed: UInt64
  var random: SeededGenerator
  let bed: TestBed
  let store: MemoryStore
  private let target: Target
  private(set) var machines: [Machine] = []
  private var active = 0
  /// The content of every archive that ever was in the target.
  private(set) var truth: [RemoteName: [UInt8]] = [:]
  /// The archives whose put was acknowledged, and that no plan has removed since.
  private(set) var acknowledged: Set<RemoteName> = []
  /// An archive was lost that has not been put again.
  private(set) var hasLosses = false
  private(set) var log: [String] = []
  /// How often machines took over, were refused, and so on.
  private(set) var events: [String: Int] = [:]

  init(seed: UInt64, keepsLast: Int?) throws {
    (self.seed, random) = (seed, SeededGenerator(seed: seed))
    bed = try TestBed()
    store = MemoryStore(hasConditions: seed % 2 == 0)
    var settings = TargetSettings(name: "s3", retention: RetentionPolicy(keepLast: keepsLast))
    (settings.interval, settings.thins) = (0, false)
    target = try Target(name: "s3", address: "s3://bucket/prefix?region=us-east-1", settings: settings)
    try bed.makeDatabase(rows: 20)
    machines = [Machine("m0")]
  }

  // MARK: Machines

  private static let files = ["app.db", "backups", "state"]

  private var machine: Machine { machines[active] }

  private func note(_ text: String, event: String? = nil) {
    log.append(text)
    if let event { events[event, default: 0] += 1 }
  }

  private func engine() -> Engine {
    var environment = bed.environment()
    environment.host = machine.name
    return Engine(
      database: bed.database, folder: bed.backups, credentials: TestBed.credentials(.key), environment: environment)
  }

  private func activate(_ index: Int) throws {
    guard index != active else { return }
    try move(to: "parked-\(active)", from: ".")
    try move(to: ".", from: "parked-\(index)")
    active = index
  }

  private func move(to folder: String, from source: String) throws {
    let files = SystemFileOperations()
    try files.makeFolders(bed.folder.path(folder))
    for name in Self.files where try files.status(bed.folder.path("\(source)/\(name)")) != nil {
      try files.rename(bed.folder.path("\(source)/\(name)"), to: bed.folder.path("\(folder)/\(name)"))
    }
  }

  private func copy(to folder: String, from source: String) throws {
    let script =
      "cd \"$1\" && mkdir -p \"$3\" && for f in app.db backups state; do rm -rf \"$3/$f\"; cp -a \"$2/$f\" \"$3\"; done"
    let result = try Shell.run("sh", ["-c", script, "sh", bed.folder.path, source, folder])
    guard result.status == 0 else { throw HoldfastError(.failed, result.stderr) }
  }

  // MARK: Events

  func pass(_ seconds: Int64) { bed.time.advance(seconds: seconds) }

  /// Some machine does something.
  func step() throws {
    try activate(Int.random(in: 0..<machines.count, using: &random))
    switch Int.random(in: 0..<100, using: &random) {
    case ..<40: try change()
    case ..<70: try ship()
    case ..<75: try clone()
    case ..<79: try takeSnapshot()
    case ..<83: try rollBack()
    case ..<88: try takeOver()
    case ..<92: loseObject()
    case ..<95: try loseMemo()
    default: restart()
    }
    pass([0, 0, 1, 20, 61, 200].randomElement(using: &random)!)
  }

  func change(full: Bool = false) throws {
    try bed.change("INSERT INTO entries(text) VALUES ('\(machine.name) \(random.next())')")
    let image = try bed.image()
    let outcome = try engine().store(CreateRequest(for: BackupReason(.change)), kind: full ? .full : .incremental)
    guard case .stored(let point, _) = outcome else { return }
    machine.images[point.id] = image
    note("\(machine.name) stores \(point.sequence ?? 0), \(point.id), \(point.kind)")
  }

  /// The number of the newest backup of the machine.
  private func engineNumber() throws -> Int64 {
    Int64(try engine().list().compactMap(\.metadata.sequence).max() ?? 0)
  }

  private func clone() throws {
    guard machines.count < 3 else { return }
    let copy = Machine("m\(machines.count)")
    copy.images = machine.images
    try self.copy(to: "parked-\(machines.count)", from: ".")
    machines.append(copy)
    note("\(copy.name) is a copy of \(machine.name)", event: "clone")
  }

  private func takeSnapshot() throws {
    try copy(to: "snapshot-\(active)", from: ".")
    machine.snapshot = machine.images
    note("a snapshot of \(machine.name)")
  }

  private func rollBack() throws {
    guard let images = machine.snapshot else { return }
    machine.replicator = nil
    try copy(to: ".", from: "snapshot-\(active)")
    machine.images = images
    note("\(machine.name) is rolled back", event: "rollback")
  }

  private func restart() {
    machine.replicator = nil
    note("\(machine.name) restarts")
  }

  private func loseMemo() throws {
    machine.replicator = nil
    let files = SystemFileOperations()
    guard try files.status(bed.folder.path("state/targets")) != nil else { return }
    _ = try Shell.run("rm", ["-r", bed.folder.path("state/targets")])
    note("\(machine.name) loses its memory of the target", event: "lost memo")
  }

  private func loseObject() {
    let names = archives()
    guard seed % 4 == 3, let name = names.sorted().randomElement(using: &random) else { return }
    store.lose(key(name))
    acknowledged.remove(name)
    hasLosses = true
    // A running agent lists the target only once a day.
    for machine in machines { machine.replicator = nil }
    note("the target loses \(name.text)", event: "lost object")
  }

  private func takeOver() throws {
    guard !machine.images.isEmpty else { return }
    note("\(machine.name) takes over", event: "take-over")
    let line = try line()
    let newest = archives().filter { line.counts($0) }.map(\.sequence).max() ?? 0
    try replicator().takeOver()
    pass(1)
    try change(full: true)
    guard try engineNumber() > newest else { throw problem("a number is used again after a take-over") }
    try ship(canBreak: false)
  }

  private func replicator() -> Replicator {
    let replicator = machine.replicator ?? Replicator(engine: engine(), target: target, store: store)
    machine.replicator = replicator
    return replicator
  }

  // MARK: Shipping

  /// Runs the replicator of the machine, perhaps with an outage.
  func ship(canBreak: Bool = true) throws {
    guard !machine.images.isEmpty else { return }
    // So that every run looks for another writer.
    pass(61)
    if canBreak, random.next() % 4 == 0 {
      store.breakOff(after: Int.random(in: 1...6, using: &random), random.next() % 2 == 0 ? .before : .after)
    }
    let (isBehind, before) = (try self.isBehind(), Set(archives()))
    let result = Result { try run() }
    store.repair()
    for name in archives() where truth[name] == nil { truth[name] = machine.images[name.id] }
    acknowledged.subtract(before.subtracting(archives()))
    switch result {
    case .failure(let error):
      guard let error = error as? StoreError, error.kind == .unreachable else { throw error }
      note("\(machine.name): \(error)", event: "outage")
      if isBehind, archives().contains(where: { !before.contains($0) }) {
        throw problem("a machine that is behind wrote")
      }
    case .success(let outcome):
      acknowledged.formUnion(outcome.put)
      note(
        "\(machine.name) puts \(outcome.put.map(\.text)), removes \(outcome.removed.map(\.text)), \(outcome.obstacle?.reason ?? "no obstacle")",
        event: outcome.obstacle == nil ? "shipped" : "refused")
      if isBehind {
        guard Set(archives()) == before else { throw problem("a machine that is behind wrote") }
        // A look at other writers costs a request, so one that has nothing to write does not look.
        guard outcome.obstacle != nil || outcome.plan.steps.isEmpty else { throw problem("it was not told so") }
      } else if outcome.obstacle == nil {
        try checkNewest()
      }
    }
  }

  /// A child that another test starts holds the locks of all open files for a moment.
  private func run() throws -> ReplicationOutcome {
    for _ in 0..<6000 {
      do {
        return try replicator().run()
      } catch let error as HoldfastError where error.code == .busy {
        usleep(10_000)
      }
    }
    return try replicator().run()
  }

  // MARK: The truth

  func problem(_ text: String) -> HoldfastError {
    HoldfastError(.failed, "seed \(seed): \(text)\n\(log.joined(separator: "\n"))")
  }

  private var repositoryID: String { store.objects.keys.sorted().first.map { String($0.prefix(32)) } ?? "" }

  private func key(_ name: RemoteName) -> String { "\(repositoryID)/\(name.text)" }

  func archives() -> [RemoteName] {
    store.objects.keys.compactMap { key in
      guard case .archive(let name)? = RemoteKey(key)?.object else { return nil }
      return name
    }
  }

  private func line() throws -> WriterLine {
    guard let read = WriterRecordFile.reader(TestBed.credentials(.key), repositoryID: repositoryID) else {
      return WriterLine()
    }
    return WriterLine(
      try store.objects.compactMap { key, bytes in
        guard case .writer(let name)? = RemoteKey(key)?.object else { return nil }
        return try read(name, bytes)
      })
  }

  /// Whether the target has a backup on its line that the machine never stored.
  private func isBehind() throws -> Bool {
    let line = try line()
    return archives().contains { name in
      line.counts(name) && machine.images[name.id] != truth[name] && name.epoch >= line.newestTakeOver?.epoch ?? 0
    }
  }

  /// After a run without an obstacle, the newest backup of the machine is the newest one there.
  private func checkNewest() throws {
    guard let newest = machine.images.keys.max(by: { $0.text < $1.text }) else { return }
    let (id, image) = try read(.latest)
    guard image == machine.images[newest] else {
      throw problem("\(machine.name) was told that \(newest) is safe, but the newest is \(id)")
    }
  }

  /// Every acknowledged backup that no plan removed is restored with the right content. After a
  /// take-over, two machines may have one ID of the same second; it stands for either backup.
  func checkAll() throws {
    let line = try line()
    let images = Dictionary(grouping: archives(), by: \.id).mapValues { $0.map { truth[$0] } }
    for name in acknowledged.sorted() where line.counts(name) {
      do {
        let image = try read(.named(name.id.text)).image
        guard images[name.id]?.contains(image) == true else { throw problem("\(name.text) is wrong") }
      } catch let error as HoldfastError where [.pointNotFound, .verificationFailed].contains(error.code) {
        guard hasLosses else { throw problem("\(name.text) was acknowledged and cannot be restored: \(error.message)") }
      }
    }
  }

  /// Restores a backup on a machine that has only the address and the key.
  func read(_ reference: RemoteReference) throws -> (id: PointID, image: [UInt8]) {
    var environment = bed.environment()
    environment.stateFolder = bed.folder.path("reader-state")
    var options = RemoteReaderOptions()
    options.records = { WriterRecordFile.reader(TestBed.credentials(.key), repositoryID: $0) }
    let reader = try RemoteReader(
      BackupSources([BackupSource(address: "s3", store: store)]), TestBed.credentials(.key), environment, options,
      progress: Progress())
    defer { reader.folder.remove() }
    let choice = try reader.choose(reference)
    try reader.fetch([choice])
    let path = bed.folder.path("restored.db")
    try? SystemFileOperations().unlink(path)
    switch try reader.engine().planRestore(RestoreRequest(pointID: choice.backup.id, target: .newFile(path: path))) {
    case .plan(let plan): _ = try reader.engine().restore(plan)
    case .refuse(let refusal): throw refusal.error
    }
    return (choice.backup.id, try bed.image(at: path))
  }
}
