import BackupPolicy
import ObjectStorage
import Synchronization

/// Counts the requests to one target. The threads that send them write it, the loop reads it.
final class TrafficMeter: Sendable {
  private let counts = Mutex(TargetTraffic())

  var traffic: TargetTraffic { counts.withLock { $0 } }

  func record(_ attempt: S3Attempt) {
    counts.withLock {
      $0.record(
        TargetTraffic.Operation(attempt.operation), duration: attempt.duration, received: attempt.received,
        retry: attempt.reasonToRepeat.flatMap { TargetTraffic.Reason($0) })
    }
  }
}

extension TargetTraffic.Operation {
  fileprivate init(_ operation: S3Attempt.Operation) {
    switch operation {
    case .put: self = .put
    case .get: self = .get
    case .list: self = .list
    case .delete: self = .delete
    }
  }
}

extension TargetTraffic.Reason {
  /// Nil for a failure after which no request is sent again.
  fileprivate init?(_ kind: StoreError.Kind) {
    switch kind {
    case .unreachable: self = .unreachable
    case .throttled: self = .throttled
    case .unavailable: self = .unavailable
    case .conflict: self = .conflict
    case .damaged: self = .damaged
    case .expired, .noCredentials: self = .credentials
    case .denied, .noContainer, .untrusted: self = .denied
    case .clockSkew: self = .clock
    case .wrongRegion: self = .region
    case .full: self = .full
    case .unsupported: self = .unsupported
    case .missing, .exists, .changed, .outOfRange, .invalid, .malformed, .tooLarge, .cancelled, .local, .other:
      return nil
    }
  }
}
