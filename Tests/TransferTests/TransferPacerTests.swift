import TestSupport
import Testing

@testable import Transfer

@Suite("Bandwidth")
struct TransferPacerTests {
  private static let second: Int64 = 1_000_000_000

  @Test("Whatever is asked when, no stretch of time has more tokens than its rate and a full bucket", arguments: 0..<50)
  func bound(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let rate = Int64.random(in: 1...(seed % 2 == 0 ? 100_000 : 5_000_000_000), using: &random)
    var now = Int64.random(in: 0...Self.second, using: &random)
    var bucket = TokenBucket(rate: rate, at: now)
    var taken: [(time: Int64, count: Int64)] = []
    for _ in 0..<200 {
      now += Int64.random(in: 0...Self.second / 5, using: &random)
      taken.append((now, bucket.take(upTo: Int64.random(in: 1...(1 << 19), using: &random), at: now)))
    }
    for start in taken.indices {
      var sum: Int64 = 0
      for (time, count) in taken[start...] {
        sum += count
        let bound = Double(bucket.capacity) + Double(rate) * Double(time - taken[start].time) / 1e9
        #expect(Double(sum) <= bound * 1.000_001 + 1, "seed \(seed)")
      }
    }
  }

  @Test(
    "A greedy user gets exactly the rate, whatever the size of the steps", arguments: [1, 7, 1000, 12_345_678, 1 << 33])
  func exact(rate: Int64) {
    var bucket = TokenBucket(rate: rate, at: 0)
    var (now, sum): (Int64, Int64) = (0, 0)
    for _ in 0..<1000 {
      sum += bucket.take(upTo: .max, at: now)
      now += max(1, bucket.wait(at: now))
    }
    sum += bucket.take(upTo: .max, at: now)
    let (high, low) = rate.multipliedFullWidth(by: now)
    let earned = Self.second.dividingFullWidth((high, low)).quotient
    #expect(sum == bucket.capacity + earned - bucket.balance)
    #expect(bucket.balance < bucket.quantum)
  }

  @Test("The end of a wait brings a quantum, and a moment before does not", arguments: [3, 40_000, 10_000_000])
  func wait(rate: Int64) {
    var bucket = TokenBucket(rate: rate, at: 0)
    #expect(bucket.take(upTo: bucket.capacity, at: 0) == bucket.capacity)
    let wait = bucket.wait(at: 0)
    #expect(bucket.take(upTo: .max, at: wait - 1) == 0)
    #expect(bucket.take(upTo: .max, at: wait) >= bucket.quantum)
  }

  @Test("A clock that stands still or goes back adds nothing, and a year fills the bucket once")
  func clock() {
    var bucket = TokenBucket(rate: 1000, at: 5 * Self.second)
    #expect(bucket.take(upTo: .max, at: 5 * Self.second) == 250)
    #expect(bucket.take(upTo: .max, at: 0) == 0)
    #expect(bucket.take(upTo: .max, at: 5 * Self.second) == 0)
    #expect(bucket.take(upTo: .max, at: 31_536_000 * Self.second) == 250)
  }

  @Test("Bytes that arrived may make a debt, which is paid before the next")
  func debt() {
    var bucket = TokenBucket(rate: 1000, at: 0)
    #expect(bucket.take(all: 1250, at: 0) == true)
    #expect(bucket.balance == -1000)
    #expect(bucket.take(all: 1, at: Self.second) == false)
    #expect(bucket.take(all: 1, at: Self.second + 1_000_000) == true)
  }

  @Test("Exchanges that are paused take turns and get equal shares")
  func fairness() {
    var pacer = TransferPacer(TransferLimits(upload: 1_000_000), sendTurn: 512 << 10, receiveTurn: 64 << 10, at: 0)
    let ids = [4, 8, 15, 16, 23]
    var sent = [Int: Int64](uniqueKeysWithValues: ids.map { ($0, 0) })
    var (now, ready) = (Int64(0), ids)
    while now < 60 * Self.second {
      for id in ready {
        // An exchange sends until it is paused.
        while true {
          let granted = pacer.upload.grant(512 << 10, to: id, at: now)
          if granted == 0 { break }
          sent[id]! += granted
        }
      }
      now += pacer.wait(at: now) ?? 1
      ready = pacer.upload.resume(at: now)
    }
    let total = sent.values.reduce(0, +)
    #expect(abs(total - 60_000_000) <= 300_000)
    for id in ids { #expect(abs(sent[id]! - total / 5) < 600_000, "\(sent)") }
  }

  @Test("Directions are independent, no limit never pauses, and a forgotten exchange does not come back")
  func directions() {
    var pacer = TransferPacer(TransferLimits(download: 1000), sendTurn: 1000, receiveTurn: 100, at: 0)
    #expect(pacer.upload.grant(1 << 40, to: 1, at: 0) == 1 << 40)
    #expect(pacer.download.accepts(5000, for: 1, at: 0) == true)
    for id in [1, 1, 2] { #expect(pacer.download.accepts(1, for: id, at: 0) == false) }
    #expect(pacer.download.paused == [1, 2])
    #expect(pacer.wait(at: 0) == 5 * Self.second)
    #expect(pacer.download.resume(at: Self.second) == [])
    pacer.forget(1)
    #expect(pacer.download.resume(at: 5 * Self.second) == [2])
    #expect(pacer.wait(at: 5 * Self.second) == nil)
  }
}
