/// Shares the bandwidth among exchanges: who may move bytes, who pauses, and who continues when.
/// A value; time is passed in as nanoseconds.
///
/// A paused exchange waits in a queue. It joins the queue at the end each time, so all exchanges
/// take turns.
struct TransferPacer {
  typealias ID = Int

  struct Direction {
    private var bucket: TokenBucket?
    private(set) var paused: [ID] = []
    /// The largest number of bytes that one exchange moves in its turn.
    private let turn: Int64

    init(rate: Int64?, turn: Int64, at now: Int64) {
      bucket = rate.map { TokenBucket(rate: $0, at: now) }
      self.turn = turn
    }

    /// The number of bytes that may be sent now. If it is zero, the exchange must pause.
    mutating func grant(_ wanted: Int64, to id: ID, at now: Int64) -> Int64 {
      guard bucket != nil, wanted > 0 else { return wanted }
      let granted = bucket?.take(upTo: wanted, at: now) ?? wanted
      if granted == 0 { pause(id) }
      return granted
    }

    /// Whether bytes that arrived may be used now. If not, the exchange must pause.
    mutating func accepts(_ count: Int64, for id: ID, at now: Int64) -> Bool {
      guard bucket?.take(all: count, at: now) == false else { return true }
      pause(id)
      return false
    }

    /// Nanoseconds until the next exchange may continue; nil if no exchange is paused.
    mutating func wait(at now: Int64) -> Int64? { paused.isEmpty ? nil : bucket?.wait(at: now) }

    /// Removes the exchanges from the queue that may continue now.
    mutating func resume(at now: Int64) -> [ID] {
      guard wait(at: now) == 0, let bucket else { return [] }
      let count = min(paused.count, Int(max(1, bucket.balance / turn)))
      defer { paused.removeFirst(count) }
      return Array(paused.prefix(count))
    }

    mutating func forget(_ id: ID) { paused.removeAll { $0 == id } }

    private mutating func pause(_ id: ID) {
      if !paused.contains(id) { paused.append(id) }
    }
  }

  var upload: Direction
  var download: Direction

  /// - Parameters:
  ///   - sendTurn: the size of the buffer from which an exchange sends.
  ///   - receiveTurn: the size of the buffer into which it receives.
  init(_ limits: TransferLimits, sendTurn: Int64, receiveTurn: Int64, at now: Int64) {
    upload = Direction(rate: limits.upload, turn: sendTurn, at: now)
    download = Direction(rate: limits.download, turn: receiveTurn, at: now)
  }

  /// Nanoseconds until the next exchange may continue; nil if no exchange is paused.
  mutating func wait(at now: Int64) -> Int64? {
    [upload.wait(at: now), download.wait(at: now)].compactMap { $0 }.min()
  }

  mutating func forget(_ id: ID) {
    upload.forget(id)
    download.forget(id)
  }
}
