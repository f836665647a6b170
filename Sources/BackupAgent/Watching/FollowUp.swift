/// When to look again for a commit that was not visible yet.
///
/// inotify wakes before a commit can be read: SQLite writes the frames, which raises the event, then flushes them, and only
/// then publishes the commit by a store to shared memory, which raises none. A backup right after the event may therefore
/// miss it, and nothing would ever wake the agent again. So each event is followed by a look that begins after it; while
/// that finds a commit that is written and not published, more looks follow at growing pauses, and in the end one with each
/// slow poll, for a disk that stalls. (Frames of a writer that was killed in its flush look the same for ever.)
struct FollowUp {
  /// What a probe of the database finds.
  enum Probe: Hashable, Sendable {
    /// Something was committed since the last backup.
    case changed
    case unchanged
    /// Something is written and perhaps about to be committed.
    case pending
  }

  /// Milliseconds.
  private static let firstPause: Int64 = 1
  private static let longestPause: Int64 = 50
  private static let patience: Int64 = 5000

  /// Monotonic milliseconds of the next look; nil where only the slow poll or an event asks for one.
  private(set) var deadline: Int64?
  /// Whether the slow poll owes a look.
  private(set) var isPending = false
  private var pause = Self.firstPause
  private var pendingSince: Int64?
  /// Events so far, and those before the look that is going on.
  private var events = 0
  private var eventsBefore = 0

  mutating func noteEvent(at time: Int64) {
    events += 1
    deadline = time
    pause = Self.firstPause
    pendingSince = nil
    isPending = true
  }

  /// The slow poll asks for the probe that is pending.
  mutating func poll(at time: Int64) {
    if isPending { deadline = time }
  }

  mutating func beginProbe() {
    eventsBefore = events
    deadline = nil
  }

  mutating func endProbe(_ look: Probe, at time: Int64) {
    // An event came meanwhile, and has its own look.
    guard events == eventsBefore else { return }
    guard look == .pending else {
      isPending = false
      return
    }
    let since = pendingSince ?? time
    pendingSince = since
    guard time - since < Self.patience else { return }
    deadline = time + pause
    pause = min(Self.longestPause, pause * 2)
  }
}
