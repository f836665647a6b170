import Synchronization

/// Counts what a store has accepted: archives, parts of archives, and removals. A run that fails after
/// one of them has made progress.
final class StepCounter: Sendable {
  private let done = Atomic<Int>(0)

  var count: Int { done.load(ordering: .relaxed) }

  func add() { done.add(1, ordering: .relaxed) }
}
