/// Turns a look at a target into the steps of a plan.
struct ReplicationSteps {
  private var look: ReplicationLook
  private var plan = ReplicationPlan()
  /// The backups to send.
  private var wanted: Set<PointID> = []
  /// The backups that age removes from the target, with the reasons.
  private var outdated: [PointID: String] = [:]
  /// The backups that are in the target, or will be, and stay.
  private var staying: Set<PointID> = []
  private var deferredUntil: Timestamp?

  private var target: TargetSettings { look.target }
  private var points: [Point] { look.facts.points }

  init(_ look: ReplicationLook) {
    self.look = look
  }

  /// Archives of this many bytes in all may be merged once more only for the upload.
  private static let smallMerge: Int64 = 16 << 20

  mutating func make() -> ReplicationPlan {
    plan.needsFull = look.needsFull
    choose()
    findDelay()
    staying = Set(look.view.members.map(\.id).filter { stays($0) })
    for chain in chains() { put(chain) }
    if deferredUntil == nil { remove() }
    if let deferredUntil {
      plan.steps.append(.wait(until: deferredUntil, reason: target.pause))
    }
    report()
    return plan
  }

  // MARK: What to send

  /// The choice depends on what age removes, and that depends on the choice, so both are repeated
  /// until nothing is added.
  private mutating func choose() {
    let unsent = points.map(\.id).filter { look.isSendable($0) && !look.view.isComplete($0) }
    let missing = missing()
    wanted = Set(
      unsent.filter { $0 == look.newest || (look.kept[$0] != nil && !look.isPlain($0)) || missing.contains($0) })
    close()
    let all = look.outdated(Set(look.union.map(\.id)))
    let candidates = unsent.filter { !wanted.contains($0) && look.kept[$0] != nil && all[$0] == nil }
    let present = Set(look.view.whole.filter { look.kept[$0] != nil })
    let young = Set(look.union.filter { $0.age(look.facts.time) < target.compaction.everyPoint }.map(\.id))
    while true {
      let here = present.union(wanted)
      outdated = target.removes ? look.outdated(here) : [:]
      look.view.settle(avoiding: Set(outdated.keys))
      let anchors = here.filter { outdated[$0] == nil && (young.contains($0) || isAnchor($0)) }
      let chosen = look.spaced(Set(candidates).subtracting(wanted), among: anchors)
      if chosen.isEmpty { return }
      wanted.formUnion(chosen)
      close()
    }
  }

  /// The backups without which others in the target, that are no longer here, cannot be restored.
  private func missing() -> Set<PointID> {
    let broken = look.view.members.map(\.id).filter { !look.view.isComplete($0) && !look.isSendable($0) }
    let needed = Set(broken.flatMap { look.view.edges(of: $0) }.compactMap { $0.name?.parent })
    return Set(points.filter { $0.sequence.map(needed.contains) ?? false }.map(\.id))
  }

  /// Whether an older backup makes others that are near it needless. It does not if it builds on an
  /// outdated one and can no longer be put without it: then another backup of its minute or hour
  /// takes its place.
  private func isAnchor(_ id: PointID) -> Bool {
    wanted.contains(id) || look.isSendable(id) || look.view.parent(of: id).map { outdated[$0] == nil } ?? true
  }

  /// Adds what the wanted backups need: the full, and all in between if nothing can be merged here.
  private mutating func close() {
    var seen: Set<PointID> = []
    for id in wanted {
      var next = look.point(id)?.parent
      while let parent = next, seen.insert(parent).inserted, !look.view.isComplete(parent),
        let point = look.point(parent), look.isSendable(parent)
      {
        if point.kind != .incremental || !target.canMerge { wanted.insert(parent) }
        next = point.kind == .incremental ? point.parent : nil
      }
    }
  }

  private func stays(_ id: PointID) -> Bool {
    look.view.isComplete(id) && look.kept[id] != nil && outdated[id] == nil
  }

  /// The newest backup waits until the interval is over.
  private mutating func findDelay() {
    guard let newest = look.newest, wanted.contains(newest) else { return }
    deferredUntil = target.due(after: look.facts.lastPut, now: look.facts.time)
  }

  // MARK: Puts

  /// The backups to put or to replace, chain by chain: the chain of the newest backup first, and in
  /// each the oldest first.
  private func chains() -> [[Int]] {
    let replaced = deferredUntil == nil ? replaceable() : []
    let involved = wanted.union(replaced)
    // Of two files with one ID, only the first is sent.
    let positions = points.indices.filter { involved.contains(points[$0].id) && look.local[points[$0].id] == $0 }
    let chains = Dictionary(grouping: positions) { look.chains[$0] }
    let newest = look.newest.flatMap { look.local[$0] }.map { look.chains[$0] }
    return chains.sorted { left, right in
      if (left.key == newest) != (right.key == newest) { return left.key == newest }
      return left.key > right.key
    }.map(\.value)
  }

  private mutating func put(_ chain: [Int]) {
    var order = chain
    if let place = order.firstIndex(where: { points[$0].id == look.newest }), wanted.contains(points[order[place]].id) {
      let newest = order.remove(at: place)
      if deferredUntil == nil {
        // Behind the full, which it needs; without merging, behind everything.
        let fulls = order.prefix { points[$0].kind != .incremental }.count
        order.insert(newest, at: target.canMerge ? fulls : order.endIndex)
      }
    }
    for position in order {
      let id = points[position].id
      guard let put = wanted.contains(id) ? put(position) : replacement(position) else { continue }
      plan.steps.append(.put(put))
      staying.insert(id)
    }
  }

  /// The archive for a backup; nil if there is no way for it.
  private func put(_ position: Int, because reason: String? = nil) -> ReplicationPut? {
    let point = points[position]
    guard let sequence = point.sequence, let base = base(of: position) else { return nil }
    let bytes = base.merged.reduce(point.bytes) { $0.addingClamped(points[$1].bytes) }
    let isNewest = point.id == look.newest
    return ReplicationPut(
      point: point.id, sequence: sequence, chain: look.chains[position], parent: base.parent,
      parentSequence: base.parent.flatMap { self.sequence(of: $0) }, merged: base.merged.map { points[$0].id },
      bytes: bytes, isNewest: isNewest,
      reason: reason ?? (isNewest ? "the newest backup" : look.kept[point.id]?.first ?? "needed by a newer backup"))
  }

  private func sequence(of id: PointID) -> Int64? {
    look.point(id)?.sequence ?? look.view.members.first { $0.id == id }?.sequence
  }

  /// The nearest backup in the target on which an archive can build, and the backups in between;
  /// nil if there is none.
  private func base(of position: Int) -> (parent: PointID?, merged: [Int])? {
    guard points[position].kind == .incremental else { return (nil, []) }
    var merged: [Int] = []
    var second: (parent: PointID?, merged: [Int])?
    var next = points[position].parent
    while let id = next {
      if staying.contains(id) { return (id, merged.reversed()) }
      if second == nil, look.view.isComplete(id) { second = (id, merged.reversed()) }
      guard target.canMerge, let above = look.local[id], look.isSendable(id), points[above].kind == .incremental else {
        break
      }
      merged.append(above)
      next = points[above].parent
    }
    return second
  }

  // MARK: Compaction in the target

  /// The backups whose archives in the target build on outdated ones.
  private func replaceable() -> Set<PointID> {
    guard target.removes, !outdated.isEmpty else { return [] }
    return Set(points.map(\.id).filter { stays($0) && look.isSendable($0) && !outdatedBelow($0).isEmpty })
  }

  /// The outdated backups between a backup and the next one on its way that stays.
  private func outdatedBelow(_ id: PointID) -> [PointID] {
    var between: [PointID] = []
    var next = look.view.parent(of: id)
    while let parent = next, outdated[parent] != nil {
      between.append(parent)
      next = look.view.parent(of: parent)
    }
    return between
  }

  /// The archive that makes outdated ones needless. It is put if compaction made it here; if others
  /// must be merged into it for the upload, only if they are small, because a large one may be
  /// waiting for its compaction here.
  private func replacement(_ position: Int) -> ReplicationPut? {
    let between = outdatedBelow(points[position].id)
    let count = between.count
    let reason = "takes the place of \(count == 1 ? "an older backup" : "\(count) older backups") in its chain"
    guard let put = put(position, because: reason), put.parent.map({ outdated[$0] == nil }) ?? true else { return nil }
    if put.merged.isEmpty { return put }
    return put.bytes <= Self.smallMerge && between.contains { look.local[$0] == nil } ? put : nil
  }

  private mutating func remove() {
    guard target.removes, wanted.isSubset(of: staying) else { return }
    let view = viewAfterPuts()
    // What could not be restored until now is not judged before it can.
    let broken = look.view.members.map(\.id).filter { !look.view.isComplete($0) }
    let needed = view.needed(for: staying.union(broken))
    for (id, _) in view.members.reversed() {
      for name in view.edges(of: id).compactMap(\.name) where !needed.names.contains(name) {
        plan.steps.append(.remove(name, reason: reason(toRemove: id, isNeeded: needed.points.contains(id))))
      }
    }
    removeOfOthers(needed)
    for name in look.facts.damaged.sorted().reversed() where view.isWhole(name) {
      plan.steps.append(.remove(name, reason: "it is damaged, and another archive of this backup is there"))
    }
  }

  private func viewAfterPuts() -> RemoteView {
    let puts = plan.puts
    guard !puts.isEmpty else { return look.view }
    var view = look.view
    for put in puts { view.add(put) }
    view.settle(avoiding: Set(outdated.keys))
    return view
  }

  private func reason(toRemove id: PointID, isNeeded: Bool) -> String {
    if isNeeded { return "another archive of this backup needs fewer others" }
    return outdated[id] ?? look.removed[id]?.joined(separator: "; ") ?? "no backup needs it"
  }

  /// Removes what other writers left, as soon as all that is kept is newer.
  private mutating func removeOfOthers(_ needed: RemoteView.Needed) {
    guard let oldest = needed.oldest else { return }
    for name in look.view.superseded.reversed() where name.sequence < oldest {
      plan.steps.append(.remove(name, reason: "a later writer did not know it, and all that is kept is newer"))
    }
    for name in look.view.unnamed.reversed()
    where name.sequence < oldest && !needed.names.contains(name) && isKnown(name.id) {
      plan.steps.append(.remove(name, reason: "a later backup has its ID, and all that is kept is newer"))
    }
  }

  /// Whether more than a name shows that the ID stands for another backup: anyone can write names.
  private func isKnown(_ id: PointID) -> Bool { look.local[id] != nil || look.view.isProved(id) }

  // MARK: Report

  private mutating func report() {
    let named = look.named(wanted.union(staying))
    for point in points {
      if wanted.contains(point.id) {
        plan.owed.append(point.id)
        plan.named[point.id] = named[point.id]
      } else if let obstacle = look.obstacles[look.local[point.id] ?? 0], !look.view.isComplete(point.id) {
        plan.skipped.append(RetentionVerdict(id: point.id, reasons: [obstacle]))
      }
    }
    let view = viewAfterPuts()
    plan.lost = view.members.map(\.id).filter { !view.isComplete($0) && !look.isSendable($0) }
    plan.broken = look.view.members.map(\.id).filter { !look.view.isComplete($0) }
    let gone = Set(look.facts.gone.map(\.id))
    plan.gone = plan.owed.filter(gone.contains)
    plan.superseded = look.view.superseded
    plan.damaged = look.facts.damaged.sorted()
    plan.blocked = points.map(\.id).filter { look.blocked.contains($0) && !look.view.isComplete($0) }
    plan.refused = look.refused
    plan.unread = unread()
    plan.missing = missingBackups()
    plan.head = head()
  }

  /// The archives to read, the oldest first: rules remove no backup that nothing proves. A later plan has
  /// the others.
  private func unread() -> [RemoteName] {
    let mayRemove = target.removes && !target.retention.rules.isEmpty
    var unread: [RemoteName] = []
    for (id, _) in look.view.members where look.local[id] == nil {
      for name in look.view.edges(of: id).filter({ !$0.isProved }).compactMap(\.name) {
        // Without encryption nothing proves anything.
        guard name.archive.encrypted, name.parent == nil || mayRemove, !look.facts.unprovable.contains(name) else {
          continue
        }
        unread.append(name)
        if unread.count == ReplicationPlan.mostUnread { return unread }
      }
    }
    return unread
  }

  private func head() -> ReplicationHead? {
    guard deferredUntil == nil, wanted.isSubset(of: staying), let newest = look.newest, staying.contains(newest),
      let position = look.local[newest], let sequence = points[position].sequence
    else { return nil }
    return ReplicationHead(newest, sequence: sequence, chain: look.chains[position])
  }

  /// With a wrong key, no backup can be told from a forged one, and none is sent. One that failed, or
  /// whose number is too large, cannot be sent, and its content is not there.
  private func isAwaited(_ point: Point) -> Bool {
    look.isSendable(point.id) || look.blocked.contains(point.id) || look.hidden.contains(point.id)
      || point.status == .failed || point.sequence ?? 0 > RemoteName.sequences.upperBound
      || (look.facts.keyProblem != nil && point.status == .unauthenticated)
  }

  private func missingBackups() -> [MissingBackup] {
    // A backup of another machine with the same number is not ours.
    let last = look.view.members.last { look.view.isComplete($0.id) && look.local[$0.id] != nil }
    let (newest, time) = (last?.sequence ?? -1, last.flatMap { look.point($0.id)?.created })
    return points.compactMap { point in
      let isOwed = wanted.contains(point.id)
      // If the number cannot be read either, the time tells whether a newer backup is there.
      let isHidden = point.sequence == nil && point.isUnreadable && !isListed(point.id)
      let isNewer = isHidden && point.created >= time ?? point.created
      let sequence = point.sequence ?? (isNewer ? .max : -1)
      guard isOwed || isAwaited(point) && sequence > newest else { return nil }
      return MissingBackup(point.id, sequence: sequence, created: point.created, isOwed: isOwed)
    }
  }

  private func isListed(_ id: PointID) -> Bool { look.facts.inventory.archives.keys.contains { $0.id == id } }
}
