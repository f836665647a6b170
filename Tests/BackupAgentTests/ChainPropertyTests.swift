import Glibc
import TestSupport
import Testing

/// Random histories of a database and of the agent's own code beside it: each point that comes of it, restored through its
/// chain, is what SQLite said the database held.
///
/// More of them on request: `HOLDFAST_CHAIN_SEEDS=5000 HOLDFAST_CHAIN_STEPS=400 contrib/test --filter ChainPropertyTests`.
@Suite(.serialized) struct ChainPropertyTests {
  static let seeds = Array(1...UInt64(number("HOLDFAST_CHAIN_SEEDS") ?? 20))
  static let steps = number("HOLDFAST_CHAIN_STEPS") ?? 100

  private static func number(_ variable: String) -> Int? { getenv(variable).flatMap { Int(String(cString: $0)) } }

  @Test(arguments: seeds) func everyPointIsWhatTheDatabaseHeld(seed: UInt64) async throws {
    let tally = try await offPool {
      let history = try ChainHistory(seed: seed)
      try history.run(steps: Self.steps)
      return history.tally
    }
    // A history without incrementals would prove nothing.
    #expect(tally.values.reduce(0, +) >= Self.steps / 10, "seed \(seed): \(tally)")
  }
}
