import TestSupport

@testable import BackupPolicy

/// A repository, a target and the agent's knowledge of it, in virtual time.
struct TargetHistory {
  var life = RepositoryLife()
  var policy: ReplicationPolicy
  var now = Timestamp(iso8601: "2023-10-09T07:00:00Z")!
  var line = WriterLine()
  private(set) var inventory = RemoteInventory()
  /// The objects in the target, each with its backup as it was when it was put.
  private(set) var objects: [RemoteName: Point] = [:]
  /// Backups that a person deleted from the repository.
  private(set) var deleted: Set<PointID> = []
  private(set) var lastPut: Timestamp?
  /// The newest number at a take-over of the target.
  var takenOverAt: Int64?
  /// A lost inventory also loses the pins of backups that are only in the target.
  private(set) var hasLostInventory = false
  private var puts: UInt64 = 0

  init(_ target: TargetSettings) {
    policy = ReplicationPolicy(target)
  }

  /// The backups in the repository.
  var points: [Point] { life.points.map(\.point).filter { !deleted.contains($0.id) } }

  var facts: ReplicationFacts {
    var facts = ReplicationFacts(points, inventory, line, now: now)
    (facts.lastPut, facts.takenOverAt) = (lastPut, takenOverAt)
    return facts
  }

  var plan: ReplicationPlan { policy.plan(facts) }

  // MARK: Events

  @discardableResult
  mutating func add(
    _ type: BackupType, after seconds: Int64, to parent: PointID? = nil, full: Bool = false,
    _ change: (inout SimulatedPoint) -> Void = { _ in }
  ) -> PointID {
    now = now.adding(seconds: seconds)
    life.add(type, now, parent: full ? nil : parent ?? points.last?.id, change)
    return life.points.last!.id
  }

  /// Deletes a backup and all that need it.
  mutating func delete(_ id: PointID) {
    var gone: Set<PointID> = [id]
    for point in life.points where point.point.parent.map(gone.contains) ?? false { gone.insert(point.id) }
    deleted.formUnion(gone)
  }

  /// The inventory is lost, and a list rebuilds it.
  mutating func loseInventory() {
    hasLostInventory = true
    inventory = RemoteInventory()
    inventory.reconcile(Array(objects.keys), now: now)
  }

  /// The target loses an object, and a list shows it when the doubt about lists is over.
  mutating func loseObject(_ sequence: Int64) {
    objects = objects.filter { $0.key.sequence != sequence }
    now = now.adding(seconds: 7200)
    inventory.reconcile(Array(objects.keys), now: now)
  }

  /// Headers are read, if the plan asks for that.
  mutating func readHeads() {
    for name in plan.unread { inventory.prove(name, objects[name]!) }
  }

  /// Executes the plan; it may fail at a step.
  ///
  /// - Returns: the problem of a step, as text; nil if there is none.
  mutating func sync(failingAt failure: Int? = nil) -> String? {
    for (number, step) in plan.steps.enumerated() {
      if number == failure { return nil }
      switch step {
      case .put(let put): if let problem = execute(put) { return problem }
      case .remove(let name, let reason):
        guard objects.removeValue(forKey: name) != nil else { return "\(name.text) is not there" }
        guard !reason.isEmpty else { return "no reason to remove \(name.text)" }
        inventory.remove(name, at: now)
      case .wait, .stop: continue
      }
      if let broken { return "after \(step): \(broken) cannot be restored from the target" }
    }
    return nil
  }

  private mutating func execute(_ put: ReplicationPut) -> String? {
    let byID = Dictionary(points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    guard let point = byID[put.point], point.sequence == put.sequence else { return "\(put.point) is not here" }
    var next = point.kind == .incremental ? point.parent : nil
    for id in put.merged.reversed() {
      guard next == id, let link = byID[id], link.isTrusted else { return "\(put.point) cannot be made with \(id)" }
      next = link.parent
    }
    guard next == put.parent else { return "\(put.point) does not build on \(put.parent.map(\.text) ?? "nothing")" }
    puts += 1
    let isFull = point.kind != .incremental
    guard
      let name = RemoteName(
        chain: put.chain, sequence: put.sequence, parent: put.parentSequence, epoch: line.newest?.epoch ?? 0,
        bytes: put.bytes, hash: puts,
        archive: ArchiveName(id: put.point, content: isFull ? .database : .pages, compressed: true, encrypted: true))
    else { return "\(put) has no name" }
    var stored = point
    stored.parent = put.parent
    objects[name] = stored
    inventory.add(RemoteArchive(name, point, put: now))
    if put.isNewest { lastPut = now }
    return nil
  }

  // MARK: The truth

  /// The backups that can be restored from the target.
  var complete: Set<PointID> {
    var complete: Set<PointID> = []
    for point in objects.values.sorted(by: { ($0.sequence ?? 0) < ($1.sequence ?? 0) })
    where point.parent.map(complete.contains) ?? true {
      complete.insert(point.id)
    }
    return complete
  }

  /// A backup with an archive in the target that cannot be restored.
  var broken: PointID? {
    let complete = complete
    return objects.values.map(\.id).first { !complete.contains($0) }
  }

  /// All backups, here and there, as the target's rules see them.
  var union: [Point] {
    let here = Set(points.map(\.id))
    var there: [PointID: Point] = [:]
    for point in objects.values where !here.contains(point.id) { there[point.id] = point }
    return (points + there.values).sorted { ($0.sequence ?? -1) < ($1.sequence ?? -1) }
  }
}
