/// A distribution of durations, as Prometheus counts them: each bucket counts the observations up to
/// its bound.
package struct Histogram: Hashable, Sendable {
  /// The upper bounds of the buckets in milliseconds, ascending. The bucket without a bound is
  /// ``count``.
  package let bounds: [Int64]
  /// The observations up to each bound.
  package private(set) var buckets: [Int64]
  /// All observations.
  package private(set) var count: Int64 = 0
  /// The sum of all observations, in milliseconds.
  package private(set) var sum: Int64 = 0

  /// - Parameter bounds: ascending, in milliseconds.
  package init(bounds: [Int64]) {
    self.bounds = bounds
    buckets = bounds.map { _ in 0 }
  }

  /// - Returns: nil if there is not one count for each bound.
  package init?(bounds: [Int64], buckets: [Int64], count: Int64, sum: Int64) {
    guard bounds.count == buckets.count else { return nil }
    (self.bounds, self.buckets, self.count, self.sum) = (bounds, buckets, count, sum)
  }

  /// From 5 ms to 10 minutes: the smallest incremental, and a full of many gigabytes.
  package static let durations = Histogram(
    bounds: [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000])

  /// - Parameter milliseconds: less than zero counts as zero.
  package mutating func observe(_ milliseconds: Int64) {
    let value = max(0, milliseconds)
    for index in bounds.indices where value <= bounds[index] { buckets[index] += 1 }
    count += 1
    sum = sum.addingClamped(value)
  }
}
