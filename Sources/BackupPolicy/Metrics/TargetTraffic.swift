/// Counts of the requests to one target since its agent began.
package struct TargetTraffic: Hashable, Sendable {
  package enum Operation: String, Hashable, Sendable, CaseIterable {
    case put
    case get
    case list
    case delete
  }

  /// Why a request was sent again.
  package enum Reason: String, Hashable, Sendable, CaseIterable {
    case unreachable
    case throttled
    /// The store had a failure of its own.
    case unavailable
    case conflict
    /// The bytes did not arrive as they were sent.
    case damaged
    /// The keys were valid no longer.
    case credentials
    case denied
    case clock
    case region
    case full
    /// The store does not know a header.
    case unsupported
  }

  package private(set) var durations: [Operation: Histogram] = [:]
  /// Bytes in the bodies of successful answers.
  package private(set) var receivedBytes: Int64 = 0
  /// Failed requests that were sent again, at once or later.
  package private(set) var retries: [Reason: Int64] = [:]

  package init() {}

  package init(durations: [Operation: Histogram], receivedBytes: Int64, retries: [Reason: Int64]) {
    (self.durations, self.receivedBytes, self.retries) = (durations, receivedBytes, retries)
  }

  /// - Parameters:
  ///   - duration: in milliseconds.
  ///   - received: bytes.
  ///   - retry: why the request is sent again; nil if it is not.
  package mutating func record(_ operation: Operation, duration: Int64, received: Int64, retry: Reason?) {
    durations[operation, default: .durations].observe(duration)
    receivedBytes = receivedBytes.addingClamped(received)
    if let retry { retries[retry, default: 0] += 1 }
  }
}
