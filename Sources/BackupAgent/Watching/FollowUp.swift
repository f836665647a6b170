/// When to probe again for a commit that was not visible yet.
///
/// inotify wakes the agent before a commit can be read: SQLite writes the frames, which raises the
/// event, then flushes them, and only then publishes the commit by a store to shared memory, which
/// raises no event. A backup right after the event may therefore miss the commit, and no later
/// event would wake the agent.
///
/// So each event is followed by a probe that begins after it. If the probe finds a commit that is
/// written but not published, more probes follow at growing intervals, and finally one with each
/// slow poll, in case the disk stalls. (The frames of a writer that was killed in its flush look
/// the same forever.)
struct FollowUp {
  /// The result of a probe of the database.
  enum Probe: Hashable, Sendable {
    /// There was a commit since the last backup.
    case changed
    case unchanged
    /// Something is written and may be about to be committed.
    case pending
  }

  /// Milliseconds.
  private static let firstPause: Int64 = 1
  private static let longestPause: Int64 = 50
  private static let patience: Int64 = 5000

  /// When to probe next, in monotonic milliseconds; nil if only the slow poll or an event starts a
  /// probe.
  private(set) var deadline: Int64?
  /// Whether a probe is pending for the slow poll.
  private(set) var isPending = false
  private var pause = Self.firstPause
  private var pendingSince: Int64?
  /// The number of events so far, and the number before the running probe.
  private var events = 0
  private var eventsBefore = 0

  mutating func recordEvent(at time: Int64) {
    events += 1
    deadline = time
    pause = Self.firstPause
    pendingSince = nil
    isPending = true
  }

  /// The slow poll starts the probe that is pending.
  mutating func poll(at time: Int64) {
    if isPending { deadline = time }
  }

  mutating func beginProbe() {
    eventsBefore = events
    deadline = nil
  }

  mutating func endProbe(_ look: Probe, at time: Int64) {
    // An event arrived meanwhile and has its own probe.
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
