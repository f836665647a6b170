/// What follows on a failed call: the table of retries as a pure function.
///
/// Every call of a store may be repeated: a key names its content, and removing nothing is done.
/// The waits have full jitter, because after an outage all clients come back at once; see
/// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
package enum RetryDecision: Sendable, Hashable {
  /// The same call again after a pause in milliseconds. Until it succeeds, the alarm is on.
  case again(after: Int64, alarm: Alarm?)
  /// Get new credentials, then the same call at once.
  case refreshCredentials
  /// Compare the content with its digest, then the same call once more.
  case rereadContent
  /// Sign with a clock that differs by this many milliseconds from this machine's, then at once.
  case shiftClock(Int64)
  /// Sign for this region, then at once. Nil: find out the region first.
  case useRegion(String?)
  /// Leave the optional headers out from now on, then at once.
  case leaveOutOptionalHeaders
  /// Ask for the object: if it has the right size, the call is done.
  case confirm
  /// The answer is final for this call: nothing changes by asking again.
  case fail(alarm: Alarm?)

  package enum Alarm: Sendable, Hashable {
    case denied
    case full
    case clockWrong
    /// The content was refused twice although it matches its digest, or it does not match it.
    case damaged
    case unsupported
  }

  /// - Parameters:
  ///   - attempt: the number of failures of this kind in a row, with this one: from 1.
  ///   - random: 0 ≤ random < 1.
  ///   - now: this machine's time of the failure, milliseconds since the epoch.
  ///   - optionalHeaders: whether the failed request had headers that it can do without.
  package static func after(
    _ error: StoreError, attempt: Int, random: Double, now: Int64 = 0, optionalHeaders: Bool = false
  ) -> RetryDecision {
    switch error.kind {
    case .unreachable, .throttled, .unavailable, .conflict:
      .again(after: pause(attempt, random, retryAfter: error.retryAfter), alarm: nil)
    case .damaged: attempt == 1 ? .rereadContent : .fail(alarm: .damaged)
    case .changed: .fail(alarm: .damaged)
    case .expired: attempt == 1 ? .refreshCredentials : .again(after: Self.deniedPause, alarm: .denied)
    case .noCredentials, .denied, .noContainer, .untrusted: slowly(attempt, .denied)
    case .clockSkew: skew(error, attempt, now)
    case .wrongRegion(let region): attempt == 1 ? .useRegion(region) : slowly(attempt, .denied)
    case .exists: .confirm
    case .unsupported: optionalHeaders && attempt == 1 ? .leaveOutOptionalHeaders : .fail(alarm: .unsupported)
    // Freed space is noticed soon, and a refused put costs little.
    case .full: .again(after: Self.fullPause, alarm: .full)
    case .missing, .outOfRange, .invalid, .malformed, .tooLarge, .cancelled, .local, .other: .fail(alarm: nil)
    }
  }

  /// Whether the same call follows, at once or later.
  var isRepetition: Bool {
    switch self {
    case .again, .refreshCredentials, .rereadContent, .shiftClock, .useRegion, .leaveOutOptionalHeaders: true
    case .confirm, .fail: false
    }
  }

  private static let deniedPause: Int64 = 5 * 60_000
  private static let fullPause: Int64 = 5 * 60_000
  private static let hour: Int64 = 60 * 60_000
  /// A `Retry-After` counts up to this.
  private static let longestRequestedPause: Int64 = 15 * 60_000
  /// From this difference on, the clock itself is reported.
  private static let skewToReport: Int64 = 5 * 60_000

  /// Full jitter: between 0 and a bound that doubles from 1 s to 5 min, and never less than the
  /// store asks for.
  private static func pause(_ attempt: Int, _ random: Double, retryAfter: Int64?) -> Int64 {
    let bound = min(Self.deniedPause, 1000 << Int64(min(max(attempt, 1) - 1, 20)))
    let jittered = Int64(random * Double(bound))
    return max(jittered, min(max(retryAfter ?? 0, 0), Self.longestRequestedPause))
  }

  /// People have to act: every 5 minutes for the first hour, then hourly.
  private static func slowly(_ attempt: Int, _ alarm: Alarm) -> RetryDecision {
    .again(after: attempt <= 12 ? Self.deniedPause : Self.hour, alarm: alarm)
  }

  private static func skew(_ error: StoreError, _ attempt: Int, _ now: Int64) -> RetryDecision {
    guard attempt == 1, let time = error.serverTime else { return slowly(attempt, .clockWrong) }
    return .shiftClock(time - now)
  }

  /// Whether a clock that is off by this many milliseconds is worth an alarm although the requests
  /// work with the store's own time.
  package static func isSkewToReport(_ offset: Int64) -> Bool { abs(offset) > Self.skewToReport }
}
