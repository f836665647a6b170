/// The verdicts while they are made, by position in the repository.
struct RetentionJudgement {
  /// Why a point stays; nil for one that goes.
  var kept: [[String]?]
  /// Why a point goes, where a rule says so.
  var removed: [Int: [String]] = [:]
  /// What anomalies hold, and the anomalies.
  var held: Set<Int> = []

  init(count: Int) {
    kept = Array(repeating: nil, count: count)
  }

  mutating func keep(_ position: Int, _ reason: String) {
    kept[position, default: []].append(reason)
  }

  mutating func remove(_ position: Int, _ reason: String) {
    removed[position, default: []].append(reason)
  }
}

extension [[String]?] {
  fileprivate subscript(position: Int, default fallback: [String]) -> [String] {
    get { self[position] ?? fallback }
    set { self[position] = newValue }
  }
}

extension RetentionPolicy {
  private var hasRule: Bool { keepLast != nil || retentionDays != nil || maxBackups != nil }

  /// What the rules say, before anything is protected from them.
  func judge(_ points: [RetentionPoint], _ family: PointFamily, now: Timestamp) -> RetentionJudgement {
    var judgement = RetentionJudgement(count: points.count)
    guard hasRule else {
      for position in points.indices { judgement.keep(position, "no rule is set") }
      return judgement
    }
    judgeCounted(points, now: now, &judgement)
    for position in points.indices where !points[position].isCounted {
      judgeUncounted(points[position], position, now: now, &judgement)
    }
    for position in points.indices where points[position].followsItsFull {
      follow(position, family.top[position], points, &judgement)
    }
    return judgement
  }

  private func judgeCounted(_ points: [RetentionPoint], now: Timestamp, _ judgement: inout RetentionJudgement) {
    // The newest first: `rank` is what keep and max_backups count.
    let counted = points.indices.reversed().filter { points[$0].isCounted }
    var staying = 0
    for (rank, position) in counted.enumerated() {
      let (keep, remove) = reasons(points[position], rank: rank, now: now)
      if keep.isEmpty {
        for reason in remove { judgement.remove(position, reason) }
      } else if let maxBackups, staying >= maxBackups {
        judgement.remove(position, "beyond max_backups \(maxBackups)")
      } else {
        staying += 1
        for reason in keep { judgement.keep(position, reason) }
      }
    }
  }

  /// Reasons of the rules that keep this point, and of those that do not; `maxBackups` comes after.
  private func reasons(_ point: RetentionPoint, rank: Int, now: Timestamp) -> (keep: [String], remove: [String]) {
    var (keep, remove): ([String], [String]) = ([], [])
    if let keepLast {
      if rank < keepLast {
        keep.append("among the newest \(keepLast)")
      } else {
        remove.append("beyond keep \(keepLast)")
      }
    }
    if let retentionDays {
      if !point.isOlder(than: Int64(retentionDays).multipliedClamped(by: 86400), now: now) {
        keep.append("younger than \(retentionDays) days")
      } else if point.clockSuspect {
        keep.append("its clock is suspect, so its age does not count")
      } else {
        remove.append("older than \(retentionDays) days")
      }
    }
    if keepLast == nil, retentionDays == nil, let maxBackups { keep.append("within max_backups \(maxBackups)") }
    return (keep, remove)
  }

  private func judgeUncounted(
    _ point: RetentionPoint, _ position: Int, now: Timestamp, _ judgement: inout RetentionJudgement
  ) {
    if point.status == "failed" {
      judgement.remove(position, "failed")
    } else if point.status == "unauthenticated" {
      judgement.keep(position, "not authenticated: accept or delete it by hand")
    } else if point.isSafety {
      judgeSafety(point, position, now: now, &judgement)
    }
  }

  private func judgeSafety(
    _ point: RetentionPoint, _ position: Int, now: Timestamp, _ judgement: inout RetentionJudgement
  ) {
    let grace = Words.duration(seconds: safetyGrace)
    if !point.isOlder(than: safetyGrace, now: now) {
      judgement.keep(position, "\(point.type) backup younger than \(grace)")
    } else if point.clockSuspect {
      judgement.keep(position, "its clock is suspect, so its age does not count")
    } else {
      judgement.remove(position, "\(point.type) backup older than \(grace)")
    }
  }

  private func follow(_ position: Int, _ root: Int, _ points: [RetentionPoint], _ judgement: inout RetentionJudgement) {
    guard points[root].kind == "full" else {
      return judgement.keep(position, "its chain has no full here: `holdfast verify` tells more")
    }
    if judgement.kept[root] != nil {
      judgement.keep(position, "belongs to \(points[root].id), which stays")
    } else {
      judgement.remove(position, "belongs to \(points[root].id), which goes")
    }
  }
}

extension RetentionPoint {
  /// A restorable point that this host vouches for.
  var isTrusted: Bool { status != "failed" && status != "unauthenticated" }
  /// Trusted, and nothing is known against its content.
  var isSound: Bool { isTrusted && status != "anomalous" && status != "suspect" }
  var isSafety: Bool { type == "safety" || type == "guard" }
  /// What keep, retention_days and max_backups are about.
  var isCounted: Bool {
    kind == "full" && !isSafety && isTrusted && !pinned
  }
  var followsItsFull: Bool { kind != "full" && isTrusted && !isSafety }

  /// A point from the future is younger than anything.
  func isOlder(than seconds: Int64, now: Timestamp) -> Bool {
    created < now.adding(seconds: seconds == .min ? .max : -seconds)
  }
}
