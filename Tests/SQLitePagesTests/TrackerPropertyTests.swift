import Glibc
import SQLitePages
import TestSupport
import Testing

/// Random histories of a database, several applications, and a tracker beside them: not one changed page may be missed.
@Suite(.ownThread) struct TrackerPropertyTests {
  /// Runs more of them on request: `TRACKER_SEEDS=1000 swift test --filter TrackerPropertyTests`.
  static let seeds = Array(1...(UInt64(getenv("TRACKER_SEEDS").map { String(cString: $0) } ?? "") ?? 24))

  @Test(arguments: seeds) func noChangedPageIsMissed(seed: UInt64) throws {
    let history = try TrackerHistory(seed: seed)
    try history.run(steps: 120)
    // A tracker that never proves anything would also pass.
    #expect(history.proofs.count >= 2, "seed \(seed): \(history.tally)")
  }

  @Test func everyProofIsReached() throws {
    var reached: Set<TrackerProof> = []
    for seed in UInt64(500)..<520 where reached.count < TrackerProof.allCases.count {
      let history = try TrackerHistory(seed: seed)
      try history.run(steps: 120)
      reached.formUnion(history.proofs)
    }
    #expect(reached == Set(TrackerProof.allCases))
  }
}

private final class TrackerHistory {
  private let bed: TrackerBed
  private var random: SeededGenerator
  private let seed: UInt64
  private var applications: [DatabaseApplication] = []
  private var log: [String] = []

  init(seed: UInt64) throws {
    self.seed = seed
    bed = try TrackerBed()
    random = SeededGenerator(seed: seed)
    let pageSize = [512, 1024, 4096].randomElement(using: &random) ?? 4096
    try DatabaseApplication(
      bed.path,
      """
      PRAGMA page_size = \(pageSize); PRAGMA auto_vacuum = \(Int.random(in: 0...2, using: &random));
      PRAGMA journal_mode = wal; PRAGMA synchronous = OFF;
      CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); CREATE INDEX i ON t (v);
      INSERT INTO t SELECT n, randomblob(300) FROM (\(DatabaseFixture.numbers(150)));
      """
    ).close()
  }

  var proofs: [TrackerProof] {
    bed.outcomes.compactMap { if case .complete(let proof) = $0 { proof } else { nil } }
  }

  var tally: String {
    let gaps = bed.outcomes.compactMap { if case .incomplete(let reason) = $0 { reason } else { nil } }
    return Dictionary(grouping: proofs.map(\.rawValue) + gaps, by: \.self).map { "\($0): \($1.count)" }.sorted()
      .joined(separator: ", ")
  }

  func run(steps: Int) throws {
    try bed.look(asPoint: true)
    for _ in 0..<steps {
      do {
        try step()
      } catch {
        Issue.record("seed \(seed): \(error); \(log.suffix(12))")
        return
      }
    }
    applications.forEach { $0.close() }
  }

  private func pick(_ choices: [String]) -> String { choices.randomElement(using: &random) ?? "" }
  private func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

  private func step() throws {
    switch number(0...99) {
    case 0..<45: run(write)
    case 45..<57: run("PRAGMA wal_checkpoint(\(pick(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])))")
    case 57..<62: close()
    case 62..<66: bed.closeConnection()
    case 66..<67: try moveOver()
    case 67..<69: run(pick(["VACUUM", "PRAGMA incremental_vacuum(5)"]))
    case 69..<71: switchMode()
    case 71..<75: bed.settle()
    case 75..<82: try look(asPoint: true)
    default: try look(asPoint: false)
    }
  }

  private var write: String {
    let id = number(1...200)
    return switch number(0...9) {
    case 0..<4: "UPDATE t SET v = randomblob(300) WHERE id = \(id)"
    case 4..<6: "REPLACE INTO t VALUES (\(id), randomblob(\(number(1...2000))))"
    case 6: "DELETE FROM t WHERE id BETWEEN \(id) AND \(id + number(0...20))"
    case 7: "INSERT OR REPLACE INTO t SELECT n, randomblob(400) FROM (\(DatabaseFixture.numbers(number(1...60))))"
    case 8: "BEGIN; UPDATE t SET v = randomblob(300) WHERE id < 90; ROLLBACK"
    default:
      "BEGIN; SAVEPOINT s; DELETE FROM t WHERE id < \(id); ROLLBACK TO s; UPDATE t SET v = zeroblob(9) WHERE id = \(id); COMMIT"
    }
  }

  /// A lock of another connection is an outcome like any other.
  private func run(_ sql: String) {
    guard let application = application() else { return }
    log.append("\(sql.prefix(60)) → \(application.attempt(sql))")
    if application.attempt("ROLLBACK") == 0 { log.append("rolled back") }
  }

  private func application() -> DatabaseApplication? {
    if let known = applications.randomElement(using: &random), applications.count > 2 || number(0...3) > 0 {
      return known
    }
    let opened = try? DatabaseApplication(
      bed.path,
      """
      PRAGMA synchronous = OFF; PRAGMA cache_size = \(number(5...50));
      PRAGMA wal_autocheckpoint = \([1, 5, 20, 100, 1000, 10000].randomElement(using: &random) ?? 1000);
      PRAGMA journal_size_limit = \([-1, 0, 20000].randomElement(using: &random) ?? -1);
      """, busyTimeout: 20)
    log.append("open")
    opened.map { applications.append($0) }
    return opened
  }

  private func close() {
    guard !applications.isEmpty else { return }
    log.append("close")
    applications.remove(at: number(0...applications.count - 1)).close()
  }

  /// All connections close first: a move over a file that is in use is another case.
  private func moveOver() throws {
    while !applications.isEmpty { close() }
    bed.closeConnection()
    log.append("move over")
    let other = bed.folder.path("other.db")
    unlink(other)
    let source = try DatabaseApplication(bed.path)
    try source.backup(to: other)
    source.close()
    let copy = try DatabaseApplication(other, "PRAGMA journal_mode = wal; UPDATE t SET v = randomblob(50) WHERE id < 9")
    copy.close()
    rename(other, bed.path)
  }

  private func switchMode() {
    while !applications.isEmpty { close() }
    bed.closeConnection()
    run("PRAGMA journal_mode = \(pick(["delete", "wal", "truncate"]))")
    run(write)
    if number(0...2) > 0 { run("PRAGMA journal_mode = wal") }
  }

  private func look(asPoint: Bool) throws {
    let outcome = try bed.look(asPoint: asPoint || bed.tracker.gap != nil && number(0...2) > 0)
    log.append("look: \(outcome.map { "\($0)" } ?? "point")")
  }
}
