import BackupPolicy

extension Repository {
  /// Returns the backup that a person names: by a full ID, a unique prefix, or `latest`.
  ///
  /// - Throws: `pointNotFound` if there is no such backup, `verificationFailed` if all are damaged,
  ///   `usage` if a prefix fits several.
  package func point(_ reference: String) throws -> StoredPoint {
    if let id = PointID(reference), let point = try stored(id) { return point }
    let points = try points()
    let point = try Self.select(reference, from: points)
    if reference == "latest" { warnOfPassedOver(points, point) }
    return point
  }

  /// Warns of skipped newer backups, because a word in its clear metadata may be the only evidence
  /// against one.
  private func warnOfPassedOver(_ points: [StoredPoint], _ chosen: StoredPoint) {
    let passed = points.reversed().prefix { $0.id != chosen.id }.filter(\.isPassedOver)
    for point in passed.prefix(3) {
      logger.warning(
        "\(point.id) is newer than \(chosen.id) and was skipped: \(point.obstacle ?? "")",
        metadata: ["hint": "run holdfast verify \(point.id) to check it again"])
    }
  }

  static func select(_ reference: String, from points: [StoredPoint]) throws -> StoredPoint {
    if reference == "latest" { return try latest(points) }
    return points[try PointIDReference.position(of: reference, among: points.map(\.id))]
  }

  private static func latest(_ points: [StoredPoint]) throws -> StoredPoint {
    let point = points.last { $0.obstacle == nil }
    try points.requireNothingHidden(after: point, notAfter: nil)
    guard let point else { throw HoldfastError.noSoundPoint(among: points.map { Point($0) }) }
    return point
  }
}

extension StoredPoint {
  /// The reason, as text, why neither `latest` nor a time ever selects the backup. Nil for a sound
  /// backup of the database's own history, which does not include the states that a restore kept.
  package var obstacle: String? {
    if let brokenLink { return "\(brokenLink.id), which it depends on, is not usable: \(brokenLink.reason)" }
    if !isAuthenticated { return "it is not authenticated" }
    if metadata.status == .failed { return (problems + metadata.verificationErrors).first ?? "it failed" }
    if name.content == .raw { return "it is a copy of damaged files" }
    if metadata.backupType == .safety { return "it is a safety backup" }
    return nil
  }
}

extension StoredPoint {
  /// Whether it can be restored and is not anomalous.
  fileprivate var isUsual: Bool { obstacle == nil && metadata.status != .anomalous }

  /// Whether it would be `latest` if it had no obstacle.
  fileprivate var isPassedOver: Bool {
    obstacle != nil && name.content != .raw && metadata.backupType != .safety
  }
}

extension [StoredPoint] {
  /// Throws if the choice may be wrong because of a backup that cannot be read now.
  ///
  /// - Parameters:
  ///   - chosen: the backup that would be chosen for the database; nil if there is none.
  ///   - moment: the requested time; nil for the newest.
  /// - Throws: the system's error if the hidden backup might be the requested one.
  func requireNothingHidden(after chosen: StoredPoint?, notAfter moment: Timestamp?) throws {
    let id = Point.hidden(map { Point($0) }, after: chosen?.id, notAfter: moment)
    guard let point = first(where: { $0.id == id }), let error = point.unreadable else { return }
    let other = chosen.map { "; or name an older one: holdfast restore \($0.id)" } ?? ""
    throw HoldfastError(
      error.code, "cannot determine the newest backup: \(error.message)",
      hint: "\(error.hint ?? "make \(point.name.text) readable")\(other)", cause: error)
  }

  /// Throws if some backup cannot be read now.
  ///
  /// - Throws: the system's error, because the backup's parent, its holds and its place in the
  ///   rules are unknown.
  func requireReadable(to activity: String) throws {
    guard let error = lazy.compactMap(\.unreadable).first else { return }
    throw HoldfastError(
      error.code, "cannot \(activity): \(error.message)",
      hint: "\(error.hint ?? "holdfast list shows the backup"); nothing was removed", cause: error)
  }

  /// The newest backup of the database's own history in which SQLite's checks ran and found
  /// nothing.
  var newestSound: StoredPoint? {
    last { $0.obstacle == nil && !$0.metadata.isFlawed && $0.metadata.findingsDate != nil }
      ?? last { $0.obstacle == nil && !$0.metadata.isFlawed && $0.metadata.verified }
  }

  /// The newest backup of the database's own history that is not anomalous.
  var newestUsual: StoredPoint? { last(where: \.isUsual) }

  /// The newest anomalous backup before another one, if it is recent.
  func accident(before point: StoredPoint) -> PointFacts.Accident? {
    guard let place = lastIndex(where: { $0.id == point.id }),
      let index = self[..<place].lastIndex(where: { $0.metadata.status == .anomalous })
    else { return nil }
    let age = point.metadata.created.milliseconds.addingClamped(-self[index].metadata.created.milliseconds)
    guard point.metadata.status != .anomalous, age < PointFacts.Accident.span else { return nil }
    let lastGood = self[..<index].last(where: \.isUsual)
    return PointFacts.Accident(
      .init(self[index].id, self[index].metadata.created), lastGood: lastGood.map { .init($0.id, $0.metadata.created) })
  }

  /// Returns the newest backup without an obstacle. A state that a restore kept is returned only if
  /// there is no other.
  ///
  /// - Parameters:
  ///   - self: every backup of a repository, the oldest first.
  ///   - broken: these backups, and all that need them, do not count.
  package func newestWhole(besides broken: Set<PointID> = []) -> StoredPoint? {
    let lost = broken.reduce(into: broken) { lost, id in lost.formUnion(descendants(of: id).map(\.id)) }
    let whole = filter {
      $0.metadata.status != .failed && $0.isAuthenticated && $0.name.content != .raw && !lost.contains($0.id)
    }
    return whole.last { $0.obstacle == nil } ?? whole.last
  }
}

extension Repository {
  /// Returns the advice if a backup was found to be damaged: the newest whole one.
  func advice(besides broken: PointID) -> String {
    guard let whole = try? points().newestWhole(besides: [broken]) else {
      return "no other backup is usable; holdfast list shows the existing backups"
    }
    return "holdfast restore \(whole.id) restores the newest usable backup"
  }
}
