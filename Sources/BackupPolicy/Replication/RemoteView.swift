/// The backups in a target, and the archives that a reader would use for them.
package struct RemoteView: Sendable {
  /// One archive of a backup, put or planned.
  package struct Edge: Hashable, Sendable {
    /// Nil for a planned one.
    package var name: RemoteName?
    /// Nil for a full, and if `isOpen`.
    package var parent: PointID?
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

  /// Every backup of which the target has an archive on the line, by sequence.
  package private(set) var members: [(id: PointID, sequence: Int64)] = []
  private(set) var edges: [PointID: [Edge]] = [:]
  /// The archives that a later writer did not know.
  package private(set) var superseded: [RemoteName] = []
  /// The best archive of each backup with a complete way to a full.
  package private(set) var best: [PointID: Edge] = [:]
  private var places: [PointID: Place] = [:]

  private struct Place: Hashable {
    var chain: Int64
    var sequence: Int64
  }

  /// - Parameter local: the sequences of the repository's points.
  package init(_ inventory: RemoteInventory, _ line: WriterLine, local: [PointID: Int64]) {
    let archives = inventory.archives.values.sorted {
      ($0.name.sequence, $0.name.epoch, $0.name.hash) < ($1.name.sequence, $1.name.epoch, $1.name.hash)
    }
    var bySequence: [Int64: [RemoteName]] = [:]
    var whole: Set<RemoteName> = []
    for archive in archives where accept(archive.name, line, local) {
      let name = archive.name
      var edge = Edge(name: name, parent: nil, isProved: archive.isProved)
      if let parent = name.parent {
        edge.parent = Self.parent(of: name, among: bySequence[parent] ?? [], whole, local)
        edge.isOpen = edge.parent == nil
      }
      if !edge.isOpen { whole.insert(name) }
      bySequence[name.sequence, default: []].append(name)
      edges[name.id, default: []].append(edge)
    }
    settle(avoiding: [])
  }

  /// Whether an archive is on the line, and its name agrees with the others of its backup: a forged
  /// name may use the ID of another one.
  private mutating func accept(_ name: RemoteName, _ line: WriterLine, _ local: [PointID: Int64]) -> Bool {
    guard line.counts(name) else {
      superseded.append(name)
      return false
    }
    if let sequence = local[name.id], sequence != name.sequence { return false }
    let place = Place(chain: name.chain, sequence: name.sequence)
    if let known = places[name.id] { return known == place }
    members.append((name.id, name.sequence))
    places[name.id] = place
    return true
  }

  /// The backup that an archive needs: names carry only its sequence, and two writers may have used
  /// one sequence. Returns nil if there is no whole one, or if the choice is not clear.
  private static func parent(
    of name: RemoteName, among candidates: [RemoteName], _ whole: Set<RemoteName>, _ local: [PointID: Int64]
  ) -> PointID? {
    let candidates = candidates.filter { $0.chain == name.chain && whole.contains($0) }
    if local[name.id] != nil, let own = candidates.first(where: { local[$0.id] == $0.sequence }) { return own.id }
    let epoch = candidates.map(\.epoch).filter { $0 <= name.epoch }.max() ?? candidates.map(\.epoch).min()
    let ids = Set(candidates.filter { $0.epoch == epoch }.map(\.id))
    return ids.count == 1 ? ids.first : nil
  }

  /// Adds a planned archive; ``settle(avoiding:)`` must follow.
  mutating func add(_ put: ReplicationPut) {
    if edges[put.point] == nil {
      members.append((put.point, put.sequence))
      places[put.point] = Place(chain: put.chain, sequence: put.sequence)
    }
    edges[put.point, default: []].append(Edge(name: nil, parent: put.parent, isProved: true))
    complete(with: put)
  }

  /// Closes the open archives that need a planned one, and those above them.
  private mutating func complete(with put: ReplicationPut) {
    guard edges.values.contains(where: { $0.contains { $0.isOpen } }) else { return }
    var closed = [put.sequence: put.point]
    for (id, sequence) in members.sorted(by: { $0.sequence < $1.sequence }) where places[id]?.chain == put.chain {
      for index in (edges[id] ?? []).indices {
        guard let edge = edges[id]?[index], edge.isOpen, let parent = edge.name?.parent.flatMap({ closed[$0] }) else {
          continue
        }
        edges[id]?[index].parent = parent
        edges[id]?[index].isOpen = false
        closed[sequence] = id
      }
    }
  }

  /// Chooses the best archives anew.
  mutating func settle(avoiding avoided: Set<PointID>) {
    best = [:]
    members.sort { ($0.sequence, $0.id.text) < ($1.sequence, $1.id.text) }
    var costs: [PointID: Cost] = [:]
    // Parents have smaller sequences, so they are settled before their children.
    for (id, _) in members {
      for edge in edges[id] ?? [] where !edge.isOpen {
        var cost = Cost(isParentAvoided: false, links: 0)
        if let parent = edge.parent {
          guard let above = costs[parent] else { continue }
          cost = Cost(isParentAvoided: avoided.contains(parent), links: above.links + 1)
        }
        if let known = costs[id], known <= cost { continue }
        costs[id] = cost
        best[id] = edge
      }
    }
  }

  func isComplete(_ id: PointID) -> Bool { best[id] != nil }

  func chain(of id: PointID) -> Int64? { places[id]?.chain }

  /// The archives to keep for these backups: the best one of each and of all that it needs. If a
  /// name alone says that the best one exists, the others stay also.
  func needed(for kept: Set<PointID>) -> (points: Set<PointID>, names: Set<RemoteName>) {
    var points = kept
    var names: Set<RemoteName> = []
    for (id, _) in members.reversed() where points.contains(id) {
      let used = best[id].map { $0.isProved ? [$0] : edges[id] ?? [] } ?? edges[id] ?? []
      for edge in used {
        if let name = edge.name { names.insert(name) }
        if let parent = edge.parent { points.insert(parent) }
      }
    }
    return (points, names)
  }
}
