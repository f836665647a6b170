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
  /// The folders of a disk that is not mounted: they are checked for at no cost.
  private(set) var missingFolders: [String] = []
  var isFolderMissing: Bool { !missingFolders.isEmpty }

  /// - Parameters:
  ///   - attempt: the number of failed runs in a row, with this one: from 1.
  ///   - random: 0 ≤ random < 1.
  init(_ error: any Error, of target: Target, attempt: Int, random: Double) {
    guard let store = error as? StoreError else {
      let known = HoldfastError(wrapping: error)
      self.error = Self.named(known, target)
      let pause = Self.pause(StoreError(.unavailable, ""), attempt, random)
      if let absent = known.cause as? AbsentFolder {
        (self.pause, alarm, missingFolders) = (min(pause, Self.folderPause), .targetMissing, absent.places)
      } else {
        // Without an alarm: the repository is locked or cannot be read, or a command writes to the target.
        (self.pause, alarm) = (pause, known.code == .wrongKey ? .key : nil)
      }
      return
    }
    self.error = store.error(at: target.name)
    if let folder = target.requiredFolder, store.kind == .noContainer {
      (pause, alarm) = (min(Self.pause(StoreError(.unavailable, ""), attempt, random), Self.folderPause), nil)
      missingFolders = [folder]
      return
    }
    (pause, alarm) = Self.decide(store, attempt, random)
  }

  private static func named(_ error: HoldfastError, _ target: Target) -> HoldfastError {
    let start = "target \(target.name): "
    if error.message.hasPrefix(start) { return error }
    return HoldfastError(error.code, start + error.message, hint: error.hint, cause: error)
  }

  private static func decide(_ error: StoreError, _ attempt: Int, _ random: Double) -> (Int64, Alarm?) {
    switch RetryDecision.after(error, attempt: attempt, random: random) {
    case .again(let pause, let alarm): return (max(pause, leastPause), alarm.map { Alarm($0) })
    case .fail(let alarm): return (slowly(attempt), alarm.map { Alarm($0) })
    case .confirm: return (slowly(attempt), nil)
    case .refreshCredentials, .rereadContent, .shiftClock, .useRegion, .leaveOutOptionalHeaders:
      // The store has tried that already.
      return attempt == 1 ? decide(error, 2, random) : (slowly(attempt), nil)
    }
  }

  private static func pause(_ error: StoreError, _ attempt: Int, _ random: Double) -> Int64 {
    if case .again(let pause, _) = RetryDecision.after(error, attempt: attempt, random: random) {
      return max(pause, leastPause)
    }
    return slowly(attempt)
  }

  /// Every 5 minutes for the first hour, then hourly.
  private static func slowly(_ attempt: Int) -> Int64 { attempt <= 12 ? 5 * 60_000 : hour }

  static let hour: Int64 = 60 * 60_000
  /// The jitter alone may be no pause at all.
  private static let leastPause: Int64 = 200
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
