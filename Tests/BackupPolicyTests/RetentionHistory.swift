@testable import BackupPolicy

/// A repository's points, stored a day apart: the last one a day before ``now``.
struct RetentionHistory {
  static let now = Timestamp(iso8601: "2023-11-16T12:00:00Z")!
  static let day: Int64 = 86400

  private(set) var points: [Point] = []

  /// One letter a point, the oldest first: `m` manual, `s` scheduled, `c` change, `S` safety, `G` guard, `f` failed, `u`
  /// unauthenticated, `i` an incremental of the point before; followed by `!` for verified, `*` for pinned, `?` for a
  /// suspect clock.
  init(_ diagram: String) {
    for letter in diagram {
      switch letter {
      case "!": points[points.count - 1].verified = true
      case "*": points[points.count - 1].pinned = true
      case "?": points[points.count - 1].clockSuspect = true
      default: points.append(Self.point(letter, after: points.last))
      }
    }
    for index in points.indices {
      let age = Int64(points.count - index) * Self.day
      points[index].created = Self.now.adding(seconds: -age)
      points[index].sequence = Int64(index)
    }
  }

  static func id(_ number: Int) -> PointID {
    PointID(at: Timestamp(milliseconds: 1_600_000_000_000 + Int64(number) * 1000))
  }

  private static func point(_ letter: Character, after parent: Point?) -> Point {
    let types: [Character: BackupType] = ["s": .scheduled, "c": .change, "i": .change, "S": .safety, "G": .guard]
    let id = id(parent.map { Int($0.id.second.milliseconds / 1000 - 1_600_000_000) + 1 } ?? 0)
    return Point(
      id: id, created: now, type: types[letter] ?? .manual, kind: letter == "i" ? .incremental : .full,
      parent: letter == "i" ? parent?.id : nil,
      status: letter == "f" ? .failed : letter == "u" ? .unauthenticated : .completed)
  }

  func decide(_ policy: RetentionPolicy) -> RetentionDecision { policy.decide(points, now: Self.now) }

  /// `k` for each kept point, `-` for each removed one.
  func outcome(_ policy: RetentionPolicy, now: Timestamp = now) -> String {
    let kept = Set(policy.decide(points, now: now).keep.map(\.id))
    return String(points.map { kept.contains($0.id) ? "k" : "-" })
  }

  /// The numbers of the removed points, in order.
  func removed(_ policy: RetentionPolicy) -> [Int] {
    decide(policy).remove.compactMap { verdict in points.firstIndex { $0.id == verdict.id } }
  }

  func reasons(_ number: Int, _ policy: RetentionPolicy) -> [String] {
    let decision = decide(policy)
    return (decision.keep + decision.remove).first { $0.id == points[number].id }?.reasons ?? []
  }
}
