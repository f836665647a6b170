import Glibc
import TestSupport
import Testing

/// `HOLDFAST_FLEET_SEEDS=500` runs more histories.
@Suite("Histories of machines that share a target", .ownThread)
struct FleetHistoryTests {
  private static let seeds = UInt64(getenv("HOLDFAST_FLEET_SEEDS").flatMap { Int(String(cString: $0)) } ?? 12)
  private static let steps = 30

  @Test(
    "Whatever happens, an acknowledged backup restores, and a machine that is behind writes nothing",
    arguments: 0..<seeds)
  func histories(seed: UInt64) throws {
    let history = try FleetHistory(seed: seed, keepsLast: seed % 3 == 2 ? 4 : nil)
    try history.change()
    try history.ship(canBreak: false)
    for step in 0..<Self.steps {
      try history.step()
      if step % 10 == 9 { try history.checkAll() }
    }
    try history.checkAll()
  }
}
