import Glibc

/// What a store of S3 does beyond its address.
package struct S3Settings: Sendable {
  /// Contents above this many bytes are uploaded in parts.
  package var multipartThreshold: Int64 = 64 << 20
  /// Bytes of a part; more if the content would have more than 1,000 parts, because Scaleway allows
  /// no more. S3 itself allows 5 MiB to 5 GiB and 10,000 parts.
  package var partSize: Int64 = 16 << 20
  /// How many parts are sent at the same time.
  package var parallelParts = 4
  /// Whether requests carry `Content-MD5`, which object lock and some stores ask for.
  package var sendsMD5 = true
  /// How often a request is sent if the store is not reachable or busy. With 1, the caller waits and
  /// asks again as `RetryDecision` says.
  package var attempts = 1
  /// Called after each request, by the thread that has sent it.
  package var attempted: (@Sendable (S3Attempt) -> Void)?

  /// Milliseconds since the epoch.
  package var now: @Sendable () -> Int64 = StoreTime.now
  /// 0 ≤ number < 1.
  package var random: @Sendable () -> Double = { Double.random(in: 0..<1) }
  /// Blocks for milliseconds.
  package var pause: @Sendable (Int64) -> Void = { usleep(UInt32(clamping: $0 * 1000)) }

  package init() {}

  /// The size of the parts of a content.
  func partSize(of length: Int64) -> Int64 { max(partSize, (length + 999) / 1000) }
}
