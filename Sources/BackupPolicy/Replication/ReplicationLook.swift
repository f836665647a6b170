/// One look at a target: the backups here and there, and what follows from them.
struct ReplicationLook {
  let facts: ReplicationFacts
  let target: TargetSettings
  /// By ID: the position in the repository.
  let local: [PointID: Int]
  var view: RemoteView
  /// By position in the repository: the problem that keeps a backup from being sent; nil if there
  /// is none.
  private(set) var obstacles: [String?] = []
  /// By position in the repository: the sequence of the chain's full.
  private(set) var chains: [Int64] = []
  /// The backups that cannot be sent, because their archives here, or those that they need, are damaged.
  private(set) var blocked: Set<PointID> = []
  /// The backups that cannot be sent now, because the machine does not show their archives, or those that
  /// they need.
  private(set) var hidden: Set<PointID> = []
  /// All backups, here and there, the oldest first. Known facts of the repository win.
  private(set) var union: [Point] = []
  private var family = PointFamily([])
  /// The reasons why rules keep a backup.
  private(set) var kept: [PointID: [String]] = [:]
  private(set) var removed: [PointID: [String]] = [:]
  private(set) var refused: String?
  /// The newest backup of the repository that can be sent or is there.
  private(set) var newest: PointID?

  init(_ facts: ReplicationFacts, _ target: TargetSettings) {
    (self.facts, self.target) = (facts, target)
    let points = facts.points
    local = Dictionary(points.indices.map { (points[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
    let sequences = Dictionary(
      points.map { ($0.id, $0.sequence ?? -1) }, uniquingKeysWith: { first, _ in first })
    view = RemoteView(facts.inventory, facts.line, local: sequences)
    findObstacles()
    unite()
    newest = points.last { view.isComplete($0.id) || isSendable($0.id) }?.id
    judge()
  }

  /// Whether a backup of the repository can be put into the target, with all that it needs.
  func isSendable(_ id: PointID) -> Bool { local[id].map { obstacles[$0] == nil } ?? false }

  func point(_ id: PointID) -> Point? { local[id].map { facts.points[$0] } }

  /// Whether the target was taken over, and there is no full since then.
  var needsFull: Bool {
    guard let last = facts.takenOverAt, !facts.points.isEmpty else { return false }
    let isSent = view.members.contains { $0.sequence > last && view.isComplete($0.id) }
    return !isSent && !facts.points.contains { $0.sequence ?? -1 > last && isSendable($0.id) }
  }

  /// Whether a backup is sent only if no other is near it in time.
  func isPlain(_ id: PointID) -> Bool { point(id).map { $0.isCompacted && id != newest } ?? false }

  // MARK: Backups here

  private mutating func findObstacles() {
    for (position, point) in facts.points.enumerated() {
      let (obstacle, chain) = obstacle(of: point, at: position)
      obstacles.append(obstacle)
      chains.append(chain)
      guard obstacle != nil else { continue }
      let parent = point.parent
      if facts.damagedHere.contains(point.id) || parent.map(blocked.contains) ?? false { blocked.insert(point.id) }
      // After a take-over, older backups are never sent.
      guard point.sequence ?? .max > facts.takenOverAt ?? .min else { continue }
      if point.isUnreadable || parent.map(hidden.contains) ?? false { hidden.insert(point.id) }
    }
  }

  private func obstacle(of point: Point, at position: Int) -> (String?, Int64) {
    if let problem = Self.problem(of: point) { return (problem, -1) }
    if facts.damagedHere.contains(point.id) { return ("its archive here is damaged", -1) }
    let sequence = point.sequence ?? -1
    if let last = facts.takenOverAt, sequence <= last { return ("it is older than the take-over of the target", -1) }
    guard point.kind == .incremental else { return (nil, sequence) }
    guard let parent = point.parent else { return ("the backup that it needs is not known", -1) }
    if let above = local[parent], above < position, facts.points[above].sequence ?? .max < sequence {
      if obstacles[above] == nil { return (nil, chains[above]) }
    }
    if view.isComplete(parent), let chain = view.chain(of: parent), chain > facts.takenOverAt ?? .min {
      return (nil, chain)
    }
    return ("it needs \(parent), which cannot be sent", -1)
  }

  static func problem(of point: Point) -> String? {
    if point.isUnreadable { return "its archive cannot be read now" }
    if point.status == .failed { return "it failed" }
    if point.status == .unauthenticated { return "it is not authenticated" }
    guard let sequence = point.sequence else { return "it has no sequence number" }
    return RemoteName.sequences.contains(sequence) ? nil : "its sequence number is too large"
  }

  // MARK: Backups here and there

  private mutating func unite() {
    let remote = remoteFacts()
    let ids = Set(local.keys).union(view.members.map(\.id))
    var all: [(sequence: Int64, Point)] = facts.points.map { point in
      var point = point
      // A damaged archive here says nothing about the copy there.
      if point.status == .failed, view.isComplete(point.id), let copy = remote[point.id] {
        point.status = copy.status
      }
      if let parent = point.parent, !ids.contains(parent) { point.parent = view.parent(of: point.id) }
      return (point.sequence ?? -1, point)
    }
    for (id, sequence) in view.members where local[id] == nil {
      guard var point = remote[id] else { continue }
      point.sequence = sequence
      point.parent = view.parent(of: id)
      all.append((sequence, point))
    }
    union = all.enumerated().sorted { ($0.element.sequence, $0.offset) < ($1.element.sequence, $1.offset) }
      .map(\.element.1)
    family = PointFamily(union.map(\.id), parents: union.map(\.parent), areOlder: true)
  }

  /// The facts about the backups in the target. One that nothing proves may be anything, and anyone who
  /// can write names could use it to push out the real ones: it stays, and rules do not count it.
  private func remoteFacts() -> [PointID: Point] {
    var remote: [PointID: Point] = [:]
    let archives = facts.inventory.archives.values.sorted {
      ($0.name.sequence, $0.name.epoch, $0.name.hash) < ($1.name.sequence, $1.name.epoch, $1.name.hash)
    }
    for archive in archives where view.isNamed(archive.name) {
      var point = archive.point
      if !archive.isProved {
        if remote[archive.name.id] != nil { continue }
        if local[archive.name.id] == nil { point.status = .unauthenticated }
      }
      remote[archive.name.id] = point
    }
    return remote
  }

  private mutating func judge() {
    var rules = target.retention
    rules.minFreeSpace = nil
    let decision = rules.decide(union, now: facts.time)
    refused = decision.refused
    for verdict in decision.keep { kept[verdict.id] = verdict.reasons }
    for verdict in decision.remove { removed[verdict.id] = verdict.reasons }
    keepUnprovedChains()
    let latest = [
      union.indices.last { union[$0].id == newest },
      union.indices.last { union[$0].isTrusted },
      union.indices.last { union[$0].isTrusted && !union[$0].type.isSafety },
    ]
    for position in latest {
      var next = position
      while let current = next, kept[union[current].id] == nil {
        kept[union[current].id] = [current == position ? "the newest backup" : "needed by the newest backup"]
        next = family.parent[current]
      }
    }
  }

  /// A rule may name a backup that nothing proves yet, and then its whole chain stays.
  private mutating func keepUnprovedChains() {
    let unproved = union.indices.filter { !union[$0].isAuthenticated && local[union[$0].id] == nil }
    let chains = Set(unproved.map { family.top[$0] })
    for position in union.indices where chains.contains(family.top[position]) && union[position].status != .failed {
      let id = union[position].id
      if kept[id] == nil { kept[id] = ["a backup of its chain is not proved yet"] }
    }
  }

  // MARK: Selections

  /// The chosen backups as if there were no others: each with the nearest older one that it needs.
  private func selection(_ chosen: Set<PointID>) -> [Point] {
    var nearest = [PointID?](repeating: nil, count: union.count)
    var selection: [Point] = []
    for position in union.indices {
      let parent = family.parent[position]
      nearest[position] = parent.flatMap { chosen.contains(union[$0].id) ? union[$0].id : nearest[$0] }
      guard chosen.contains(union[position].id) else { continue }
      var point = union[position]
      if point.kind == .incremental { point.parent = nearest[position] }
      selection.append(point)
    }
    return selection
  }

  /// Of the chosen backups, the ones that age removes, with the reasons.
  func outdated(_ chosen: Set<PointID>) -> [PointID: String] {
    guard target.thins else { return [:] }
    let points = selection(chosen)
    let verdicts = target.compaction.verdicts(points, CompactionTree(points), now: facts.time)
    let promised = target.retention.promised(points)
    var outdated: [PointID: String] = [:]
    for (point, verdict) in zip(points, verdicts) where promised[point.id] == nil && point.id != newest {
      outdated[point.id] = verdict
    }
    return outdated
  }

  /// Of the chosen backups, the ones that rules of the target name.
  func named(_ chosen: Set<PointID>) -> [PointID: [String]] { target.retention.promised(selection(chosen)) }

  /// Of the candidates, the ones to send so that there is one an interval: the newest first, and
  /// none that is near a backup that is there or will be.
  func spaced(_ candidates: Set<PointID>, among anchors: Set<PointID>) -> Set<PointID> {
    guard target.interval > 0 else { return candidates }
    let positions = union.indices.filter { position in
      let point = union[position]
      return candidates.contains(point.id) || (anchors.contains(point.id) && !point.clockSuspect)
    }
    var chosen: Set<PointID> = []
    for chain in Dictionary(grouping: positions, by: { family.top[$0] }).values {
      chosen.formUnion(spaced(chain, candidates))
    }
    return chosen
  }

  /// The same for one chain, the oldest first.
  private func spaced(_ chain: [Int], _ candidates: Set<PointID>) -> [PointID] {
    var older: [Timestamp?] = []
    var last: Timestamp?
    for position in chain {
      older.append(last)
      if !candidates.contains(union[position].id) { last = union[position].created }
    }
    var chosen: [PointID] = []
    var newer: Timestamp?
    for (position, older) in zip(chain, older).reversed() {
      let (id, time) = (union[position].id, union[position].created)
      guard candidates.contains(id) else {
        newer = time
        continue
      }
      guard isFar(older, from: time), isFar(time, from: newer) else { continue }
      chosen.append(id)
      newer = time
    }
    return chosen
  }

  private func isFar(_ older: Timestamp?, from newer: Timestamp?) -> Bool {
    guard let older, let newer else { return true }
    return older.milliseconds.addingClamped(target.interval) <= newer.milliseconds
  }
}
