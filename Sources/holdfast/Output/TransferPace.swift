import BackupEngine
import BackupPolicy

/// The speed of a transfer and its time left, from the reports of its progress.
struct TransferPace {
  private struct Sample {
    /// Monotonic milliseconds.
    var time: Int64
    /// Bytes.
    var done: Int64
  }

  private var samples: [Sample] = []

  /// Milliseconds. The speed is that of the last seconds, because links change; the first second says
  /// little.
  private static let window: Int64 = 5000
  private static let least: Int64 = 1000
  private static let step: Int64 = 250

  /// Whether the amounts of an activity are bytes that a network or a disk carries.
  static func measures(_ activity: String) -> Bool {
    [Progress.Activity.sending.rawValue, Progress.Activity.fetching.rawValue].contains(activity)
  }

  /// Records a report.
  ///
  /// - Parameter time: monotonic milliseconds.
  /// - Returns: the text behind the bar, such as `118 MiB/s, 12 s left`; empty in the first second
  ///   and while nothing moves.
  mutating func record(_ done: Int64, of total: Int64, at time: Int64) -> String {
    // Another transfer has begun, or some bytes are sent again.
    if let last = samples.last, done < last.done { samples = [] }
    if samples.last.map({ time - $0.time >= Self.step }) ?? true { samples.append(Sample(time: time, done: done)) }
    while samples.count > 1, time - samples[1].time >= Self.window { samples.removeFirst() }
    let elapsed = time - samples[0].time
    guard elapsed >= Self.least, done > samples[0].done else { return "" }
    let speed = Double(done - samples[0].done) / Double(elapsed) * 1000
    let text = "\(ByteCount(Int64(speed)))/s"
    guard done < total else { return text }
    let left = (Double(total - done) / speed).rounded(.up)
    return "\(text), \(Words.distance(milliseconds: Int64(min(left, 1e9)) * 1000)) left"
  }
}
