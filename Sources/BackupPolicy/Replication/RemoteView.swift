/// The backups in a target, and the archives that a reader would use for them.
///
/// Copies of one machine may give one ID to different backups, so a backup is known by its ID and its
/// number. For people an ID stands for one backup alone: that of the repository, or else that of the
/// last writer. The others stay as long as a backup needs them.
package struct RemoteView: Sendable {
  /// A backup as the names of its archives describe it.
  package struct Member: Hashable, Sendable {
    package var id: PointID
    package var sequence: Int64
    var chain: Int64

    init(_ id: PointID, sequence: Int64, chain: Int64) {
      (self.id, self.sequence, self.chain) = (id, sequence, chain)
    }

    init(_ name: RemoteName) { self.init(name.id, sequence: name.sequence, chain: name.chain) }
  }

  /// One archive of a backup, put or planned.
  package struct Edge: Hashable, Sendable {
    /// Nil for a planned one.
    package var name: RemoteName?
    /// Nil for a full, and if `isOpen`.
    var parent: Member?
    /// Whether it needs a backup that the target does not have.
    var isOpen = false
    var isProved: Bool
  }

  /// The effort of a way to a full. Archives that do not need an outdated backup come first, however
  /// long the way is: the backup that they need stays anyway, and the outdated one can go.
  private struct Cost: Comparable {
    var isParentAvoided: Bool
    var links: Int

    static func < (left: Cost, right: Cost) -> Bool {
      (left.isParentAvoided ? 1 : 0, left.links) < (right.isParentAvoided ? 1 : 0, right.links)
    }
  }

  /// Every backup of which the target has an archive on the line, by sequence, one of each ID.
  package private(set) var members: [(id: PointID, sequence: Int64)] = []
  /// The archives that a later writer did not know.
  package private(set) var superseded: [RemoteName] = []
  /// By sequence: also the backups for which no ID stands.
  private var all: [Member] = []
  private var edges: [Member: [Edge]] = [:]
  /// The best archive of each backup with a complete way to a full.
  private var best: [Member: Edge] = [:]
  /// The backup for which an ID stands.
  private var named: [PointID: Member] = [:]

  /// - Parameter local: the sequences of the repository's points.
  package init(_ inventory: RemoteInventory, _ line: WriterLine, local: [PointID: Int64]) {
    let archives = inventory.archives.values.sorted {
      ($0.name.sequence, $0.name.epoch, $0.name.hash) < ($1.name.sequence, $1.name.epoch, $1.name.hash)
    }
    var bySequence: [Int64: [RemoteName]] = [:]
    var whole: Set<RemoteName> = []
    for archive in archives {
      let name = archive.name
      guard line.counts(name) else {
        superseded.append(name)
        continue
      }
      var edge = Edge(name: name, parent: nil, isProved: archive.isProved)
      if let parent = name.parent {
        edge.parent = Self.parent(of: name, among: bySequence[parent] ?? [], whole, local)
        edge.isOpen = edge.parent == nil
      }
      if !edge.isOpen { whole.insert(name) }
      bySequence[name.sequence, default: []].append(name)
      edges[Member(name), default: []].append(edge)
    }
    all = Array(edges.keys)
    findNamed(local)
    settle(avoiding: [])
  }

  private mutating func findNamed(_ local: [PointID: Int64]) {
    var ranks: [PointID: (epoch: Int, sequence: Int64, chain: Int64)] = [:]
    for (member, edges) in edges {
      if let sequence = local[member.id], sequence != member.sequence { continue }
      let rank = (edges.compactMap { $0.name?.epoch }.max() ?? 0, member.sequence, member.chain)
      if let known = ranks[member.id], known > rank { continue }
      (ranks[member.id], named[member.id]) = (rank, member)
    }
  }

  /// The backup that an archive needs: names carry only its sequence, and two writers may have used
  /// one sequence. Returns nil if there is no whole one, or if the choice is not clear.
  private static func parent(
    of name: RemoteName, among candidates: [RemoteName], _ whole: Set<RemoteName>, _ local: [PointID: Int64]
  ) -> Member? {
    let candidates = candidates.filter { $0.chain == name.chain && whole.contains($0) }
    if local[name.id] == name.sequence, let own = candidates.first(where: { local[$0.id] == $0.sequence }) {
      return Member(own)
    }
    let epoch = candidates.map(\.epoch).filter { $0 <= name.epoch }.max() ?? candidates.map(\.epoch).min()
    let members = Set(candidates.filter { $0.epoch == epoch }.map { Member($0) })
    return members.count == 1 ? members.first : nil
  }

  /// Whether the key proves the backup for which an ID stands.
  func isProved(_ id: PointID) -> Bool { named[id].flatMap { edges[$0] }?.contains(where: \.isProved) ?? false }

  /// Adds a planned archive; ``settle(avoiding:)`` must follow.
  mutating func add(_ put: ReplicationPut) {
    let member = Member(put.point, sequence: put.sequence, chain: put.chain)
    if edges[member] == nil { all.append(member) }
    named[put.point] = member
    let parent = put.parent.flatMap { id in
      put.parentSequence.map { Member(id, sequence: $0, chain: put.chain) } ?? named[id]
    }
    edges[member, default: []].append(Edge(name: nil, parent: parent, isProved: true))
    complete(with: member)
  }

  /// Closes the open archives that need a planned one, and those above them.
  private mutating func complete(with put: Member) {
    guard edges.values.contains(where: { $0.contains { $0.isOpen } }) else { return }
    var closed = [put.sequence: put]
    for member in all.sorted(by: { $0.sequence < $1.sequence }) where member.chain == put.chain {
      for index in (edges[member] ?? []).indices {
        guard let edge = edges[member]?[index], edge.isOpen, let parent = edge.name?.parent.flatMap({ closed[$0] })
        else { continue }
        edges[member]?[index].parent = parent
        edges[member]?[index].isOpen = false
        closed[member.sequence] = member
      }
    }
  }

  /// Chooses the best archives anew.
  mutating func settle(avoiding avoided: Set<PointID>) {
    best = [:]
    all.sort { left, right in
      if left.sequence != right.sequence { return left.sequence < right.sequence }
      return left.id == right.id ? left.chain < right.chain : left.id.text < right.id.text
    }
    members = all.filter { isNamed($0) }.map { ($0.id, $0.sequence) }
    var costs: [Member: Cost] = [:]
    // Parents have smaller sequences, so they are settled before their children.
    for member in all {
      for edge in edges[member] ?? [] where !edge.isOpen {
        var cost = Cost(isParentAvoided: false, links: 0)
        if let parent = edge.parent {
          guard let above = costs[parent] else { continue }
          cost = Cost(isParentAvoided: isNamed(parent) && avoided.contains(parent.id), links: above.links + 1)
        }
        // Of two with the same effort, one that is known to be there, and not by its name alone.
        let isBetter = edge.isProved && best[member]?.isProved == false
        if let known = costs[member], known < cost || (known == cost && !isBetter) { continue }
        costs[member] = cost
        best[member] = edge
      }
    }
  }

  private func isNamed(_ member: Member) -> Bool { named[member.id] == member }

  // MARK: Backups by their IDs

  func contains(_ id: PointID) -> Bool { named[id] != nil }

  func isComplete(_ id: PointID) -> Bool { named[id].map { best[$0] != nil } ?? false }

  /// The backups with a complete way to a full.
  var whole: [PointID] { members.map(\.id).filter { isComplete($0) } }

  func chain(of id: PointID) -> Int64? { named[id]?.chain }

  func edges(of id: PointID) -> [Edge] { named[id].flatMap { edges[$0] } ?? [] }

  /// The backup that the best archive of a backup needs; nil for a full, and if its ID stands for
  /// another backup.
  func parent(of id: PointID) -> PointID? {
    named[id].flatMap { best[$0]?.parent }.flatMap { isNamed($0) ? $0.id : nil }
  }

  /// Whether an archive is one of the backup for which its ID stands.
  func isNamed(_ name: RemoteName) -> Bool { isNamed(Member(name)) }

  /// Whether the backup of an archive has a complete way to a full.
  func isWhole(_ name: RemoteName) -> Bool { best[Member(name)] != nil }

  /// The archives that a restore of a backup reads: its own first, a full last. Nil if one of them
  /// is missing.
  func way(to id: PointID) -> [RemoteName]? {
    var way: [RemoteName] = []
    var next = named[id]
    guard next != nil else { return nil }
    while let member = next {
      guard let edge = best[member], let name = edge.name else { return nil }
      way.append(name)
      next = edge.parent
    }
    return way
  }

  /// The archives of backups for which no ID stands, by sequence.
  var unnamed: [RemoteName] { all.filter { !isNamed($0) }.flatMap { edges[$0] ?? [] }.compactMap(\.name) }

  /// The archives to keep for some backups.
  struct Needed {
    var points: Set<PointID>
    var names: Set<RemoteName> = []
    /// The number of the oldest backup among them.
    var oldest: Int64?
  }

  /// The archives to keep for these backups: the best one of each and of all that it needs. If a
  /// name alone says that the best one exists, the others stay also.
  func needed(for kept: Set<PointID>) -> Needed {
    var needed = Needed(points: kept)
    var members = Set(kept.compactMap { named[$0] })
    for member in all.reversed() where members.contains(member) {
      let used = best[member].map { $0.isProved ? [$0] : edges[member] ?? [] } ?? edges[member] ?? []
      for edge in used {
        if let name = edge.name { needed.names.insert(name) }
        if let parent = edge.parent { members.insert(parent) }
      }
      if isNamed(member) { needed.points.insert(member.id) }
      needed.oldest = member.sequence
    }
    return needed
  }
}
