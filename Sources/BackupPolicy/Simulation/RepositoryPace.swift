/// How a repository grew so far: what a simulation goes on with.
package struct RepositoryPace: Hashable, Sendable {
  /// Milliseconds between two points of changes; nil where none are to come.
  package var changeInterval: Int64?
  /// Bytes of a full's archive.
  package var fullBytes: Int64
  /// Bytes of a change's archive.
  package var changeBytes: Int64
  /// Of so many days all this was seen; 0 where there was too little to see.
  package var daysSeen: Int

  package init(changeInterval: Int64?, fullBytes: Int64, changeBytes: Int64, daysSeen: Int) {
    self.changeInterval = changeInterval
    self.fullBytes = fullBytes
    self.changeBytes = changeBytes
    self.daysSeen = daysSeen
  }

  /// What the points of a repository tell; nil where there is no full to go by.
  ///
  /// Thinning and retention leave gaps, but numbers are never given twice: the number of the newest point less that of the oldest is
  /// how many were made in between. Those that are there and were not made by changes are taken off.
  ///
  /// - Parameter points: every point of the repository, in its order, the oldest first.
  package init?(_ points: [RetentionPoint]) {
    let history = points.filter { $0.isTrusted && !$0.isSafety && !$0.clockSuspect }
    guard let full = history.last(where: { $0.kind == "full" }) else { return nil }
    // Merged ones weigh more than one change does: the median is of one that was not merged, or hardly.
    let weights = history.filter { $0.kind == "incremental" }.map(\.bytes).sorted()
    let numbered = history.filter { $0.sequence != nil }
    var interval: Int64?
    var days = 0
    if let first = numbered.first, let last = numbered.last, let low = first.sequence, let high = last.sequence {
      let span = last.created.milliseconds - first.created.milliseconds
      let asked = numbered.dropFirst().count { $0.type != "change" }
      let changes = high - low - Int64(asked)
      if span > 0, changes > 0 { interval = max(1, span / changes) }
      days = Int(span / 86_400_000)
    }
    self.init(
      changeInterval: interval, fullBytes: full.bytes,
      changeBytes: weights.isEmpty ? full.bytes / 100 : weights[weights.count / 2], daysSeen: days)
  }
}
