/// What retention says of one point, and why: at least one reason, lower case, no full stop.
public struct RetentionVerdict: Hashable, Sendable {
  /// The point.
  public package(set) var id: PointID
  /// Why it stays or goes.
  public package(set) var reasons: [String]

  package init(id: PointID, reasons: [String]) {
    self.id = id
    self.reasons = reasons
  }
}

/// Which points stay and which go.
public struct RetentionDecision: Hashable, Sendable {
  /// In repository order.
  public package(set) var keep: [RetentionVerdict]
  /// In the order to remove them: children before parents.
  public package(set) var remove: [RetentionVerdict]
  /// Why nothing is removed at all: a rule that cannot be meant. The command ends with `refused`.
  public package(set) var refused: String?

  package init(keep: [RetentionVerdict], remove: [RetentionVerdict], refused: String? = nil) {
    self.keep = keep
    self.remove = remove
    self.refused = refused
  }
}

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
    kept[position] = (kept[position] ?? []) + [reason]
  }

  mutating func remove(_ position: Int, _ reason: String) {
    removed[position, default: []].append(reason)
  }
}
