import BackupPolicy
import ObjectStorage
import Replication
import Testing

@testable import BackupAgent

/// The pauses of the agent after failed runs, in virtual time.
@Suite("Pauses after failed runs for a target")
struct TargetPauseTests {
  /// A line that loses every tenth exchange.
  private struct Line {
    private var exchanges = 0

    /// - Returns: how many of some archives a run puts before an exchange is lost.
    mutating func run(_ count: Int) -> Int {
      for put in 0..<count {
        exchanges += 1
        if exchanges.isMultiple(of: 10) { return put }
      }
      return count
    }
  }

  private func target() throws -> Target {
    try Target(name: "s3", address: "/nowhere", settings: TargetSettings(name: "s3", retention: RetentionPolicy()))
  }

  private func moment(_ time: Int64) -> Moment { Moment(wall: Timestamp(milliseconds: time), monotonic: time) }

  @Test("On a line that loses a tenth of its exchanges, a backlog is there within minutes, without a busy loop")
  func lossyLine() throws {
    let target = try target()
    let error = StoreError(.unreachable, "the connection was reset")
    var machine = ShippingMachine(ShippingMachine.Settings(check: 0))
    var line = Line()
    var (left, time, runs) = (500, Int64(0), 0)
    #expect(machine.receive(.tick, at: moment(time)) == .run(atOnce: false))
    while true {
      runs += 1
      let put = line.run(left)
      left -= put
      if left == 0 { break }
      let failure = ShippingFailure(
        error, of: target, attempt: machine.attempt(madeProgress: put > 0), random: 0.999)
      #expect((200...1000).contains(failure.pause), "\(failure.pause) ms after run \(runs)")
      #expect(
        machine.receive(
          .finished(.failed(pause: failure.pause, unsent: nil, madeProgress: put > 0)), at: moment(time)) == .wait)
      time = try #require(machine.deadline(at: Timestamp(milliseconds: time)).monotonic)
      #expect(machine.receive(.tick, at: moment(time)) == .run(atOnce: false))
    }
    #expect(runs > 50 && time < 120_000, "\(runs) runs, \(time) ms")
  }

  @Test("Without progress the pauses grow, and jitter alone never makes them vanish")
  func outage() throws {
    let target = try target()
    let error = StoreError(.unreachable, "no route to the host")
    let pauses = (1...12).map { ShippingFailure(error, of: target, attempt: $0, random: 0.999).pause }
    #expect(pauses == pauses.sorted() && pauses[0] == 999 && pauses[11] > 290_000, "\(pauses)")
    #expect(ShippingFailure(error, of: target, attempt: 1, random: 0).pause == 200)
  }
}
