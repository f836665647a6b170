/// Which pages of a database changed since a state of it, told from the WAL without holding anything between two looks.
///
/// It gathers a superset: pages may be named that did not change, and none is left out as long as ``gap`` is nil.
/// Completeness is proved at each step, by one of ``TrackerProof``; where none holds the tracker says so, and the caller has to
/// compare all pages.
///
/// Invariant: if `gap` is nil, every page in which the state at `position` differs from the state at the last
/// ``start(at:)`` is in `pages`, or lies beyond the page count of either.
package struct PageTracker: Sendable {
  /// Numbers of pages, from 1.
  package private(set) var pages: Set<UInt32> = []
  /// Where it has got to; nil before the first start.
  package private(set) var position: TrackerPosition?
  /// Why `pages` may lack some; nil where it does not.
  package private(set) var gap: String? = "nothing is known yet"

  package init() {}

  /// Begins anew from a state whose pages are known.
  package mutating func start(at position: TrackerPosition) {
    pages = []
    gap = nil
    self.position = position
  }

  /// Gives up what it knows.
  package mutating func lose(_ reason: String) {
    pages = []
    if gap == nil { gap = reason }
  }

  /// Adds what was committed between the position and `snapshot`, and moves there.
  package mutating func follow(_ snapshot: DatabaseSnapshot) -> TrackerOutcome {
    let now = TrackerPosition(snapshot)
    defer { position = now }
    guard let before = position else { return .incomplete(gap ?? "nothing is known yet") }
    let step = TrackerStep(from: before, to: now, snapshot.connection)
    let (outcome, changed) = step.prove()
    if case .incomplete(let reason) = outcome { lose(reason) }
    if gap == nil { pages.formUnion(changed) }
    return outcome
  }
}
