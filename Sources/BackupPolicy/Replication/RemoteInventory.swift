/// An archive that a target is known to hold.
package struct RemoteArchive: Hashable, Sendable {
  package let name: RemoteName
  /// The facts about the backup. Its parent is that of the repository at that time; the name says
  /// what this archive needs.
  package var point: Point
  /// When this machine put it; nil if only a list showed it.
  package var put: Timestamp?
  /// Whether this machine put it, or read its header since: names alone prove nothing.
  package var isProved: Bool

  /// An archive that this machine has put.
  package init(_ name: RemoteName, _ point: Point, put: Timestamp) {
    (self.name, self.point, self.put, isProved) = (name, point, put, true)
  }

  /// An archive that a list showed. Until its header is read, its type and its tags are unknown, so
  /// it counts as requested: age does not remove it.
  package init(listed name: RemoteName) {
    let kind: BackupKind = name.archive.content == .raw ? .raw : name.parent == nil ? .full : .incremental
    let point = Point(
      id: name.id, sequence: name.sequence, created: name.id.second, type: .manual, kind: kind, bytes: name.bytes)
    (self.name, self.point, put, isProved) = (name, point, nil, false)
  }
}

/// The archives that a target is known to hold: a memo, which a list of the target rebuilds.
///
/// A list is never proof of absence, because some stores show an object only some time after it was
/// written. An archive that this machine put within the last hour counts as there, and one that it
/// removed within the last hour counts as gone.
package struct RemoteInventory: Hashable, Sendable {
  package private(set) var archives: [RemoteName: RemoteArchive] = [:]
  private var removals: [RemoteName: Timestamp] = [:]

  /// Seconds for which a list is not believed.
  package static let doubt: Int64 = 3600

  package init() {}

  /// Records a successful put.
  package mutating func add(_ archive: RemoteArchive) {
    archives[archive.name] = archive
    removals[archive.name] = nil
  }

  /// Records that the header of a listed archive was read, and what it says.
  package mutating func prove(_ name: RemoteName, _ point: Point) {
    archives[name]?.point = point
    archives[name]?.isProved = true
  }

  /// Records an accepted removal.
  package mutating func remove(_ name: RemoteName, at now: Timestamp) {
    archives[name] = nil
    removals[name] = now
  }

  /// Records the present facts about backups that the repository still has: pins, for example,
  /// change after the archive was put.
  package mutating func update(_ points: [Point]) {
    let byID = Dictionary(points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    for name in archives.keys {
      guard var point = byID[name.id], let old = archives[name]?.point, old.sequence == point.sequence else { continue }
      // A damaged archive here says nothing about the copy there.
      if point.status == .failed { point.status = old.status }
      archives[name]?.point = point
    }
  }

  /// The differences between the inventory and a list of the target.
  package struct Difference: Hashable, Sendable {
    /// In the list alone.
    package var found: [RemoteName]
    /// In the inventory alone, and not put within the last hour.
    package var lost: [RemoteName]
  }

  /// Takes over a complete list of the target.
  @discardableResult
  package mutating func reconcile(_ listed: [RemoteName], now: Timestamp) -> Difference {
    removals = removals.filter { Self.isRecent($0.value, now) }
    let shown = Set(listed)
    let found = shown.filter { archives[$0] == nil && removals[$0] == nil }.sorted()
    let lost = archives.values.filter { archive in
      !shown.contains(archive.name) && !(archive.put.map { Self.isRecent($0, now) } ?? false)
    }
    for archive in lost { archives[archive.name] = nil }
    for name in found { archives[name] = RemoteArchive(listed: name) }
    return Difference(found: found, lost: lost.map(\.name).sorted())
  }

  /// A time far in the future is not recent: the clock was wrong then.
  private static func isRecent(_ time: Timestamp, _ now: Timestamp) -> Bool {
    time.adding(seconds: doubt) >= now && time <= now.adding(seconds: doubt)
  }
}
