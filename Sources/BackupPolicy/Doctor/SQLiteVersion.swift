/// A version of SQLite: `3.40.1`.
package struct SQLiteVersion: Hashable, Sendable, Comparable {
  package let numbers: [Int]

  /// Returns nil unless the text is three numbers with dots between them.
  package init?(_ text: String) {
    let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 3, !numbers.contains(nil) else { return nil }
    self.numbers = numbers.compactMap { $0 }
  }

  package static func < (left: SQLiteVersion, right: SQLiteVersion) -> Bool {
    left.numbers.lexicographicallyPrecedes(right.numbers)
  }

  /// Whether it may corrupt a database in WAL mode if two connections checkpoint and write at the
  /// same instant.
  ///
  /// The "WAL-reset bug", <https://www.sqlite.org/wal.html#walresetbug>: 3.7.0 to 3.51.2, with
  /// fixes in 3.44.6 and 3.50.7.
  package var hasWALResetBug: Bool {
    guard numbers.lexicographicallyPrecedes([3, 51, 3]), !numbers.lexicographicallyPrecedes([3, 7, 0]) else {
      return false
    }
    switch numbers[1] {
    case 44: return numbers[2] < 6
    case 50: return numbers[2] < 7
    default: return true
    }
  }

  /// Before it, a read-only connection could not use WAL without write access to the folder.
  package var isTooOld: Bool { numbers.lexicographicallyPrecedes([3, 22, 0]) }
}

extension Diagnosis {
  static func sqlite(_ facts: ExaminationFacts) -> Finding {
    guard let version = SQLiteVersion(facts.sqliteVersion) else {
      return Finding("SQLite", .note, "version \(facts.sqliteVersion)")
    }
    if version.isTooOld {
      return Finding(
        "SQLite", .problem, "version \(facts.sqliteVersion) cannot read WAL databases as this program needs it",
        advice: "install 3.22.0 or newer")
    }
    guard version.hasWALResetBug else { return Finding("SQLite", .ok, "version \(facts.sqliteVersion)") }
    return Finding(
      "SQLite", facts.journalMode == "wal" ? .warning : .note,
      "version \(facts.sqliteVersion) has the WAL-reset bug: very seldom, two connections that checkpoint and write in the same instant corrupt a database",
      advice:
        "use 3.51.3, 3.50.7, 3.44.6 or newer also in the application (it usually has its own copy); verify_after_create finds damage early"
    )
  }
}
