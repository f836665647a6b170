/// A limit of bandwidth as a value: tokens are bytes, and time is passed in.
///
/// The balance may become negative, because bytes that arrived cannot be refused.
struct TokenBucket: Equatable {
  /// Bytes a second.
  let rate: Int64
  /// The largest balance: a quarter of a second, so that a pause does not end in a long burst.
  let capacity: Int64
  /// Fewer bytes are not worth a system call, except at the end of a body.
  let quantum: Int64
  private(set) var balance: Int64
  /// Nanoseconds at which the balance was computed.
  private var time: Int64
  /// Tokens in billionths that are not yet in the balance.
  private var remainder: Int64 = 0

  /// A full bucket.
  init(rate: Int64, at now: Int64) {
    self.rate = max(1, rate)
    capacity = max(1, self.rate / 4)
    quantum = min(capacity, 16 << 10)
    balance = capacity
    time = now
  }

  /// Takes up to `wanted` tokens; zero if it is better to wait.
  mutating func take(upTo wanted: Int64, at now: Int64) -> Int64 {
    refill(at: now)
    guard wanted > 0, balance >= min(wanted, quantum) else { return 0 }
    let taken = min(wanted, balance)
    balance -= taken
    return taken
  }

  /// Takes `count` tokens if the balance is positive.
  mutating func take(all count: Int64, at now: Int64) -> Bool {
    refill(at: now)
    guard balance > 0 else { return false }
    balance -= count
    return true
  }

  /// Nanoseconds until a quantum is there; zero if it is.
  mutating func wait(at now: Int64) -> Int64 {
    refill(at: now)
    guard balance < quantum else { return 0 }
    let (seconds, tokens) = (quantum - balance).quotientAndRemainder(dividingBy: rate)
    // Rounded up, so that the tokens are there at the end of the wait.
    return seconds * 1_000_000_000 + (tokens * 1_000_000_000 + rate - 1) / rate
  }

  private mutating func refill(at now: Int64) {
    guard now > time else { return }
    let elapsed = now - time
    time = now
    let missing = capacity - balance
    // After this time the bucket is full in any case; the test also keeps the product in range.
    guard elapsed / 1_000_000_000 <= missing / rate else {
      (balance, remainder) = (capacity, 0)
      return
    }
    let (high, low) = rate.multipliedFullWidth(by: elapsed)
    let (sum, carry) = low.addingReportingOverflow(UInt64(remainder))
    let (tokens, rest) = Int64(1_000_000_000).dividingFullWidth((high + (carry ? 1 : 0), sum))
    (balance, remainder) = tokens >= missing ? (capacity, 0) : (balance + tokens, rest)
  }
}
