/// The points that a repository would hold in the days to come, if everything continues as before:
/// schedules, compaction and retention as configured, in virtual time, without any change on disk.
///
/// ``assumptions`` lists its assumptions.
package struct RepositorySimulation: Sendable {
  /// The settings that create points and remove them.
  package struct Settings: Sendable {
    package var mode = TriggerMode.change
    package var schedules: [CronSchedule] = []
    package var zone = ZoneRules.utc
    /// Nil: incrementals are not compacted.
    package var compaction: CompactionPolicy?
    /// Nil: nothing is removed.
    package var retention: RetentionPolicy?

    package init() {}
  }

  /// The content of the repository at the end of a day.
  package struct Day: Hashable, Sendable {
    package var time: Timestamp
    package var fulls: Int
    package var incrementals: Int
    /// Of all archives.
    package var bytes: Int64
  }

  package let settings: Settings
  package let pace: RepositoryPace
  /// The present, and then one for each day.
  package private(set) var days: [Day] = []
  /// The points at the end, in repository order, with retention's reasons.
  package private(set) var points: [SimulatedPoint]
  private var chain: ChainWeight?
  private var nextChange: Timestamp?
  private var made: Int64

  /// Faster changes are simulated as one a minute with the size of all of them: after an hour
  /// compaction leaves no more.
  private static let shortest: Int64 = 60_000

  /// - Parameters:
  ///   - points: every point of the repository, in its order, the oldest first.
  ///   - now: the start of virtual time.
  ///   - count: number of days to simulate.
  package init(
    _ points: [SimulatedPoint], _ pace: RepositoryPace, _ settings: Settings, from now: Timestamp, days count: Int
  ) {
    (self.points, self.pace, self.settings) = (points, pace, settings)
    made = points.compactMap(\.point.sequence).max() ?? Int64(points.count)
    chain = points.last { $0.point.kind == .full }.map { weight(of: $0.id, $0.bytes) }
    nextChange = changePace.map { now.adding(milliseconds: $0.interval) }
    days.append(day(now))
    var start = now
    for _ in 0..<count {
      let end = start.adding(seconds: 86400)
      live(from: start, to: end)
      thin(end)
      retire(end)
      days.append(day(end))
      start = end
    }
  }

  /// The interval and the size of changes; nil if they do not start backups.
  var changePace: (interval: Int64, bytes: Int64)? {
    guard settings.mode != .schedule, let interval = pace.changeInterval else { return nil }
    guard interval < Self.shortest else { return (interval, pace.changeBytes) }
    return (
      Self.shortest, min(pace.changeBytes.multipliedClamped(by: Self.shortest / max(1, interval)), pace.fullBytes)
    )
  }

  private func day(_ time: Timestamp) -> Day {
    let fulls = points.count { $0.point.kind == .full }
    return Day(
      time: time, fulls: fulls, incrementals: points.count - fulls,
      bytes: points.reduce(0) { $0.addingClamped($1.bytes) })
  }
}

extension RepositorySimulation {
  /// Backups of schedules and changes, when they are due.
  private mutating func live(from start: Timestamp, to end: Timestamp) {
    let schedules = settings.mode == .change ? [] : settings.schedules
    var time = start
    var run = Self.next(schedules, after: time, settings.zone)
    while let due = [run, nextChange].compactMap({ $0 }).min(), due <= end {
      time = due
      if due == run {
        add(.scheduled, at: time, parent: nil, bytes: pace.fullBytes)
        run = Self.next(schedules, after: time, settings.zone)
      } else if let changes = changePace {
        let isHeavy = chain.map { ChainPolicy.adviseFull($0) != nil } ?? true
        let parent = isHeavy ? nil : points.last?.id
        add(.change, at: time, parent: parent, bytes: parent == nil ? pace.fullBytes : changes.bytes)
        nextChange = time.adding(milliseconds: changes.interval)
      }
    }
  }

  private static func next(_ schedules: [CronSchedule], after time: Timestamp, _ zone: ZoneRules) -> Timestamp? {
    schedules.compactMap { $0.next(after: time, in: zone) }.min()
  }

  private mutating func add(_ trigger: BackupType, at time: Timestamp, parent: PointID?, bytes: Int64) {
    made += 1
    let point = SimulatedPoint(
      number: made, time, trigger, parent: parent, bytes: bytes, fullBytes: pace.fullBytes)
    points.append(point)
    if parent == nil {
      chain = ChainWeight(full: point.id, fullBytes: bytes, incrementals: 0, incrementalBytes: 0)
    } else {
      chain?.incrementals += 1
      chain?.incrementalBytes += bytes
    }
  }

  private mutating func thin(_ now: Timestamp) {
    guard let compaction = settings.compaction else { return }
    while true {
      let promised = settings.retention?.promised(points.map(\.point)) ?? [:]
      let plan = compaction.plan(points.map(\.point), promised: promised, now: now)
      guard !plan.steps.isEmpty else { return }
      let positions = Dictionary(points.indices.map { (points[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
      for step in plan.steps {
        guard let survivor = step.survivor.flatMap({ positions[$0] }), let first = positions[step.removed[0]] else {
          continue
        }
        points[survivor].takeOver(
          bytes: min(step.bytesBefore, pace.fullBytes), parent: points[first].point.parent)
      }
      remove(Set(plan.steps.flatMap(\.removed)))
    }
  }

  private mutating func retire(_ now: Timestamp) {
    guard let decision = settings.retention?.decide(points.map(\.point), now: now), decision.refused == nil else {
      return
    }
    remove(Set(decision.remove.map(\.id)))
    let reasons = Dictionary(decision.keep.map { ($0.id, $0.reasons) }, uniquingKeysWith: { first, _ in first })
    for position in points.indices { points[position].reasons = reasons[points[position].id] ?? [] }
  }

  private mutating func remove(_ gone: Set<PointID>) {
    guard !gone.isEmpty else { return }
    points.removeAll { gone.contains($0.id) }
    // The present size of the head's chain: an agent also knows it after compacting.
    chain = chain.map { weight(of: $0.full, $0.fullBytes) }
  }

  private func weight(of full: PointID, _ bytes: Int64) -> ChainWeight {
    let links = points.reversed().prefix { $0.id != full }.filter { $0.point.kind != .full }
    return ChainWeight(
      full: full, fullBytes: bytes, incrementals: links.count,
      incrementalBytes: links.reduce(0) { $0.addingClamped($1.bytes) })
  }
}

extension RepositorySimulation {
  /// The assumptions, as text: lower case, no full stop.
  package var assumptions: [String] {
    [
      changes,
      "a full has \(ByteCount(pace.fullBytes)), like the newest one: the database size stays the same",
      "a merged incremental is as large as its parts, at most as a full; usually it is smaller",
      "backups are not made, tagged, pinned or deleted by hand, no backup fails, and the disk does not fill up",
      "merging and removing happen at the end of each day; in between there is one more day of backups",
    ]
  }

  private var changes: String {
    guard settings.mode != .schedule else { return "changes do not start backups, because the mode is schedule" }
    guard let interval = pace.changeInterval else {
      return "no changes are expected, because the repository holds too few to estimate them"
    }
    let often = Words.duration(seconds: max(1, interval / 1000))
    let faster = interval < 60_000 ? "; those of one minute are counted as one" : ""
    return
      "a change is backed up every \(often) and has \(ByteCount(pace.changeBytes)), according to the numbers of the backups "
      + "of the last \(pace.daysSeen) days\(faster)"
  }
}

/// A backup while a simulation runs.
package struct SimulatedPoint: Hashable, Sendable {
  package var point: Point
  /// The reasons to keep it, by the last decision.
  package var reasons: [String] = []

  package init(_ point: Point) {
    self.point = point
  }

  /// A future backup.
  ///
  /// - Parameters:
  ///   - number: its sequence, which makes its ID unique.
  ///   - parent: nil for a full.
  ///   - bytes: of its archive.
  ///   - fullBytes: of a full's, from which the number of pages is estimated, because compaction
  ///     needs it.
  init(number: Int64, _ time: Timestamp, _ trigger: BackupType, parent: PointID?, bytes: Int64, fullBytes: Int64) {
    point = Point(
      id: PointID(at: time, number: Int(clamping: number)), sequence: number, created: time,
      type: trigger, kind: parent == nil ? .full : .incremental, parent: parent,
      verified: trigger == .scheduled, bytes: bytes, pagesStored: Self.pages(bytes),
      pageCount: Self.pages(fullBytes), pageSize: 4096)
  }

  private static func pages(_ bytes: Int64) -> UInt32 { UInt32(clamping: max(1, bytes / 4096)) }

  package var id: PointID { point.id }
  package var bytes: Int64 { point.bytes }

  /// Others were merged into it.
  mutating func takeOver(bytes: Int64, parent: PointID?) {
    (point.bytes, point.parent, point.pagesStored) = (bytes, parent, Self.pages(bytes))
  }
}

/// The growth of a repository so far, which a simulation continues.
package struct RepositoryPace: Hashable, Sendable {
  /// Milliseconds between two points of changes; nil if no more are expected.
  package var changeInterval: Int64?
  /// Bytes of a full's archive.
  package var fullBytes: Int64
  /// Bytes of a change's archive.
  package var changeBytes: Int64
  /// The number of observed days; 0 if there was too little to observe.
  package var daysSeen: Int

  package init(changeInterval: Int64?, fullBytes: Int64, changeBytes: Int64, daysSeen: Int) {
    self.changeInterval = changeInterval
    self.fullBytes = fullBytes
    self.changeBytes = changeBytes
    self.daysSeen = daysSeen
  }

  /// The growth that the points of a repository show; nil if there is no full.
  ///
  /// Compaction and retention leave gaps, but numbers are never used twice: the number of the
  /// newest point minus that of the oldest is the count of points made in between. The existing
  /// points that were not made by changes are subtracted.
  ///
  /// - Parameter points: every point of the repository, in its order, the oldest first.
  package init?(_ points: [Point]) {
    let history = points.filter { $0.isTrusted && !$0.type.isSafety && !$0.clockSuspect }
    guard let full = history.last(where: { $0.kind == .full }) else { return nil }
    // Merged ones are larger than one change: the median is an incremental with few or no merges.
    let weights = history.filter { $0.kind == .incremental }.map(\.bytes).sorted()
    let numbered = history.filter { $0.sequence != nil }
    var interval: Int64?
    var days = 0
    if let first = numbered.first, let last = numbered.last, let low = first.sequence, let high = last.sequence {
      let span = last.created.milliseconds - first.created.milliseconds
      let asked = numbered.dropFirst().count { $0.type != .change }
      let changes = high - low - Int64(asked)
      if span > 0, changes > 0 { interval = max(1, span / changes) }
      days = Int(span / 86_400_000)
    }
    self.init(
      changeInterval: interval, fullBytes: full.bytes,
      changeBytes: weights.isEmpty ? full.bytes / 100 : weights[weights.count / 2], daysSeen: days)
  }
}
