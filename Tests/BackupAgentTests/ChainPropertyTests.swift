import Glibc
import TestSupport
import Testing

/// Random histories of a database with the agent's own code beside it. Each backup, restored
/// through its chain, equals the state that SQLite reported for the database.
///
/// More of them on request: `HOLDFAST_CHAIN_SEEDS=5000 HOLDFAST_CHAIN_STEPS=400 contrib/test
/// --filter ChainPropertyTests`.
@Suite(.serialized, .ownThread) struct ChainPropertyTests {
  static let seeds = Array(1...UInt64(number("HOLDFAST_CHAIN_SEEDS") ?? 20))
  static let steps = number("HOLDFAST_CHAIN_STEPS") ?? 100

  private static func number(_ variable: String) -> Int? { getenv(variable).flatMap { Int(String(cString: $0)) } }

  @Test(arguments: seeds) func everyPointIsWhatTheDatabaseHeld(seed: UInt64) async throws {
    let tally = try await Self.tally(seed, steps: Self.steps)
    // A history without backups would prove nothing.
    #expect(tally.values.reduce(0, +) >= Self.steps / 10, "seed \(seed): \(tally)")
  }

  @Test func eachProofDecidesSomewhere() async throws {
    let wanted = Set(["same generation", "untouched file", "one reset"].map { "followed: \($0)" })
    var sum: [String: Int] = [:]
    for seed in UInt64(900)..<940 where !wanted.isSubset(of: sum.keys) {
      sum.merge(try await Self.tally(seed, steps: 100), uniquingKeysWith: +)
    }
    #expect(wanted.isSubset(of: sum.keys), "\(sum)")
    #expect(sum["audited"] ?? 0 > 0, "\(sum)")
  }

  private static func tally(_ seed: UInt64, steps: Int) async throws -> [String: Int] {
    try await offPool {
      let history = try ChainHistory(seed: seed)
      try history.run(steps: steps)
      return history.tally
    }
  }
}
