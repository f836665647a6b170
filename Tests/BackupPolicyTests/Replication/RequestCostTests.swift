import Testing

@testable import BackupPolicy

@Suite("Requests to a target and their price")
struct RequestCostTests {
  private static func prices(_ store: String) -> StorePrices { StorePrices.all.first { $0.store == store }! }

  @Test("An archive of up to 64 MiB is one request, a larger one has parts")
  func parts() {
    let parts = UploadParts()
    #expect(parts.requests(forBytes: 0) == 1)
    #expect(parts.requests(forBytes: 64 << 20) == 1)
    #expect(parts.requests(forBytes: (64 << 20) + 1) == 7)
    #expect(parts.requests(forBytes: 1 << 30) == 66)
    #expect(parts.requests(forBytes: 100 << 30) == 1002)
  }

  @Test("A plan costs a request for each step, and a look at the next writer record")
  func plan() {
    var plan = ReplicationPlan()
    #expect(RequestCount(plan, mustLook: true) == RequestCount())
    let id = RetentionHistory.id(1)
    let put = ReplicationPut(
      point: id, sequence: 1, chain: 1, parent: nil, parentSequence: nil, merged: [], bytes: 1 << 30, isNewest: true,
      reason: "the newest backup")
    plan.steps = [.put(put), .wait(until: RetentionHistory.now, reason: "later")]
    #expect(RequestCount(plan, mustLook: true) == RequestCount(puts: 66, gets: 1))
    #expect(RequestCount(plan, mustLook: false, withMetadata: [id]) == RequestCount(puts: 67))
  }

  @Test("A month of a constant writer costs what the design says")
  func constantWriter() {
    #expect("\(Self.prices("S3").month(RequestCount(puts: 2_592_000), bytes: 0))" == "$12.96")
    #expect("\(Self.prices("S3").month(RequestCount(puts: 303_000, gets: 43_200), bytes: 0))" == "$1.53")
    #expect(
      Self.prices("R2").month(RequestCount(puts: 303_000, gets: 43_200), bytes: 0, withFree: true).billionths == 0)
    #expect("\(Self.prices("S3").month(RequestCount(gets: 1887, lists: 8), bytes: 0))" == "$0.0008")
  }

  @Test("Ten thousand devices cost what the design says")
  func fleet() {
    let counts = RequestCount(puts: 14_400_000, gets: 14_400_000)
    let bytes: Int64 = 515_000_000_000
    #expect("\(Self.prices("S3").month(counts, bytes: bytes, withFree: true))" == "$89.61")
    #expect("\(Self.prices("R2").month(counts, bytes: bytes, withFree: true))" == "$69.46")
    #expect("\(Self.prices("B2").month(counts, bytes: bytes))" == "$8.85")
  }

  @Test("Amounts are rounded to cents, small ones to hundredths of a cent")
  func amounts() {
    for (billionths, text) in [
      (0, "$0.00"), (9_999_999, "$0.0100"), (10_000_000, "$0.01"), (1_005_000_000, "$1.01"), (-1_000_000_000, "-$1.00"),
      (50_000, "$0.0001"),
    ] as [(Int64, String)] {
      #expect("\(Dollars(billionths: billionths))" == text)
    }
  }

  @Test("Every price has a source and the day on which it was read")
  func sources() {
    #expect(StorePrices.all.allSatisfy { !$0.source.isEmpty && $0.read.count == 10 })
  }
}

@Suite("Lag of a target")
struct LagPolicyTests {
  private static func unsent(_ seconds: Int64) -> UnsentBackups {
    UnsentBackups(count: 3, oldest: RetentionHistory.id(1), since: RetentionHistory.now.adding(seconds: -seconds))
  }

  @Test("A target is behind if the oldest unsent backup is older than max_lag and one interval")
  func lag() {
    let policy = LagPolicy()
    #expect(policy.decide(nil, now: RetentionHistory.now) == .upToDate)
    #expect(policy.decide(Self.unsent(910), now: RetentionHistory.now) == .within(Self.unsent(910)))
    #expect(
      policy.decide(Self.unsent(911), now: RetentionHistory.now)
        == .behind(
          Self.unsent(911),
          reason: "3 backups are not there yet, the oldest since 2023-11-16T11:44:49.000Z; max_lag is 15 min"))
    #expect(policy.decide(Self.unsent(-5000), now: RetentionHistory.now) == .within(Self.unsent(-5000)))
  }

  @Test("A long interval alone is no lag")
  func interval() {
    let policy = LagPolicy(maxLag: 900, interval: 3_600_000)
    #expect(policy.decide(Self.unsent(4500), now: RetentionHistory.now) == .within(Self.unsent(4500)))
  }
}
