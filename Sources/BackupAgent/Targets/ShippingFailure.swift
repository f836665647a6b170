import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication

/// What follows on a failed run: the error for people, the pause, and the alarm.
struct ShippingFailure {
  let error: HoldfastError
  /// Milliseconds without a request.
  let pause: Int64
  /// The alarm that is raised at once; without one, the target is behind after its `max_lag`.
  let alarm: Alarm?
  /// A disk that is not mounted: it is checked for at no cost.
  private(set) var isFolderMissing = false

  /// - Parameters:
  ///   - attempt: the number of failed runs in a row, with this one: from 1.
  ///   - random: 0 ≤ random < 1.
  init(_ error: any Error, of target: Target, attempt: Int, random: Double) {
    guard let store = error as? StoreError else {
      // The repository is locked or cannot be read, or a command writes to the target.
      let message = HoldfastError(wrapping: error)
      self.error = HoldfastError(
        message.code, "target \(target.name): \(message.message)", hint: message.hint, cause: message)
      (pause, alarm) = (Self.pause(StoreError(.unavailable, ""), attempt, random), nil)
      return
    }
    self.error = store.error(at: target.name)
    if case .folder = target.url, store.kind == .noContainer {
      (pause, alarm) = (min(Self.pause(StoreError(.unavailable, ""), attempt, random), Self.folderPause), nil)
      isFolderMissing = true
      return
    }
    (pause, alarm) = Self.decide(store, attempt, random)
  }

  private static func decide(_ error: StoreError, _ attempt: Int, _ random: Double) -> (Int64, Alarm?) {
    switch RetryDecision.after(error, attempt: attempt, random: random) {
    case .again(let pause, let alarm): return (pause, alarm.map { Alarm($0) })
    case .fail(let alarm): return (slowly(attempt), alarm.map { Alarm($0) })
    case .confirm: return (slowly(attempt), nil)
    case .refreshCredentials, .rereadContent, .shiftClock, .useRegion, .leaveOutOptionalHeaders:
      // The store has tried that already.
      return attempt == 1 ? decide(error, 2, random) : (slowly(attempt), nil)
    }
  }

  private static func pause(_ error: StoreError, _ attempt: Int, _ random: Double) -> Int64 {
    if case .again(let pause, _) = RetryDecision.after(error, attempt: attempt, random: random) { return pause }
    return slowly(attempt)
  }

  /// Every 5 minutes for the first hour, then hourly.
  private static func slowly(_ attempt: Int) -> Int64 { attempt <= 12 ? 5 * 60_000 : hour }

  static let hour: Int64 = 60 * 60_000
  private static let folderPause: Int64 = 60_000
}

extension Alarm {
  init(_ alarm: RetryDecision.Alarm) {
    switch alarm {
    case .full: self = .targetFull
    case .clockWrong: self = .clockWrong
    case .denied, .damaged, .unsupported: self = .targetDenied
    }
  }
}
