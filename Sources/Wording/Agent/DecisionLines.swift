import BackupPolicy
import Names

/// Decisions as `status --why` lists them: in the order of time, without overlaps, and only as many
/// as fit on a screen.
///
/// A busy database makes decisions in turns, such as to wait and to start, and the journal has one
/// entry for each of the two. Their times overlap, so they are listed below one common span.
package struct DecisionLines {
  private struct Group {
    var entries: [DecisionJournal.Entry]
    var last: Timestamp

    var first: Timestamp { entries[0].first }
    /// The lines that it takes.
    var height: Int { entries.count == 1 ? 1 : entries.count + 1 }

    /// Milliseconds between a time and the nearest decision; 0 if the time is in the span.
    func distance(to time: Timestamp) -> Int64 {
      max(0, max(first.milliseconds - time.milliseconds, time.milliseconds - last.milliseconds))
    }
  }

  /// The most lines, without those that say what is left out.
  package static let limit = 12

  private let groups: [Group]
  private let times: Times

  /// - Parameter entries: in any order.
  package init(_ entries: [DecisionJournal.Entry], _ times: Times) {
    self.times = times
    var groups: [Group] = []
    for entry in entries.sorted(by: { $0.first < $1.first }) {
      if let open = groups.last, entry.first < open.last {
        groups[groups.count - 1].entries.append(entry)
        groups[groups.count - 1].last = max(open.last, entry.last)
      } else {
        groups.append(Group(entries: [entry], last: entry.last))
      }
    }
    self.groups = groups
  }

  /// The lines nearest to a time.
  package func lines(nearest time: Timestamp) -> [String] {
    let shown = window(around: time)
    return leftOut(groups[..<shown.lowerBound], "earlier") + groups[shown].flatMap(lines)
      + leftOut(groups[shown.upperBound...], "later")
  }

  /// The groups that fit, from the nearest one outwards.
  private func window(around time: Timestamp) -> Range<Int> {
    let nearest = groups.indices.min { groups[$0].distance(to: time) < groups[$1].distance(to: time) }
    guard let nearest else { return 0..<0 }
    var (shown, height) = (nearest..<nearest + 1, groups[nearest].height)
    while true {
      let sides = [shown.lowerBound - 1, shown.upperBound].filter {
        groups.indices.contains($0) && height + groups[$0].height <= Self.limit
      }
      guard let next = sides.min(by: { groups[$0].distance(to: time) < groups[$1].distance(to: time) }) else {
        return shown
      }
      height += groups[next].height
      shown = min(shown.lowerBound, next)..<max(shown.upperBound, next + 1)
    }
  }

  private func lines(_ group: Group) -> [String] {
    guard group.entries.count > 1 else { return group.entries.map { "\(span($0))  \(text($0))" } }
    let shown = group.entries.prefix(Self.limit - 1).map { entry in
      entry.count == 1
        ? "  \(times.of(entry.first))  \(text(entry))" : "  \(entry.count.grouped) times  \(text(entry))"
    }
    let rest = group.entries.count - shown.count
    return ["\(times.of(group.first)) to \(times.of(group.last)), in turns:"] + shown
      + (rest > 0 ? ["  and \(rest) other decisions"] : [])
  }

  private func span(_ entry: DecisionJournal.Entry) -> String {
    entry.count == 1
      ? times.of(entry.first) : "\(times.of(entry.first)) to \(times.of(entry.last)), \(entry.count.grouped) times"
  }

  private func text(_ entry: DecisionJournal.Entry) -> String {
    "\(entry.kind): \(times.local(entry.reason).printable)"
  }

  private func leftOut(_ groups: ArraySlice<Group>, _ side: String) -> [String] {
    let count = groups.reduce(0) { $0 + $1.entries.count }
    guard count > 0 else { return [] }
    return ["… \(count.grouped) \(side) \(count == 1 ? "entry" : "entries"): --json lists all"]
  }
}
