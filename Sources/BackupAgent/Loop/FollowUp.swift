/// When to look again for a commit that was not visible yet.
///
/// inotify wakes before a commit can be read: SQLite writes the frames, which raises the event, then flushes them, and only
/// then publishes the commit by a store to shared memory, which raises none. A look right after the event may therefore
/// find nothing, and nothing would ever wake the agent again. So it looks again, at growing distances from the event, and
/// once more with the next slow poll, for a disk that stalls.
struct FollowUp {
  /// Milliseconds after the last event.
  private static let distances: [Int64] = [1, 4, 16, 64, 256, 1024, 4096]

  /// Monotonic milliseconds; nil where every distance was looked at since.
  private var lastEvent: Int64?
  private var lastLook = Int64.min
  /// Whether the slow poll owes a look.
  private(set) var isOwed = false

  mutating func noteEvent(at time: Int64) {
    lastEvent = time
    isOwed = true
  }

  /// A look at the database has begun.
  mutating func noteLook(at time: Int64) {
    lastLook = time
  }

  /// The slow poll looks.
  mutating func settle() {
    isOwed = false
  }

  /// Monotonic milliseconds of the next look.
  var deadline: Int64? {
    guard let lastEvent else { return nil }
    return Self.distances.lazy.map { lastEvent + $0 }.first { $0 > lastLook }
  }
}
