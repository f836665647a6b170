import FoundationEssentials
import TestSupport
import Testing

/// The words of the comments and of the documentation, counted by `contrib/testing/dialect.py` and kept near those of GRDB's
/// documentation (where 2.5, if 8.4, what 0.3, told 0.2, none 0.0 in 1,000 words).
@Suite("Plain English", .ownThread)
struct DialectTests {
  private struct Row {
    let name: String
    let words: Int
    let rates: [String: Double]
  }

  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  private func rows() throws -> [Row] {
    let result = try Shell.run("python3", ["contrib/testing/dialect.py", "--names"], environment: [:], in: Self.root)
    try #require(result.status == 0, "\(result.stderr)")
    let lines = result.stdout.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    let columns = try #require(lines.first).dropFirst(4)
    return try lines.dropFirst().map { fields in
      let words = try #require(Int(fields[1]))
      let rates = try fields.dropFirst(2).map { try #require(Double($0)) }
      return Row(name: fields[0], words: words, rates: Dictionary(uniqueKeysWithValues: zip(columns, rates)))
    }
  }

  @Test("Conditions begin with if and when, and nouns take the place of what-clauses")
  func rates() throws {
    let rows = try rows()
    #expect(rows.count > 30 && rows.last.map { $0.words > 80_000 } == true, "the counter reads the whole tree")
    // In a short text one word more is a high rate.
    for row in rows where row.words >= 400 {
      let rates = row.rates
      #expect(rates["where"]! <= 2.5, "where, in \(row.name): \(rates)")
      #expect(rates["what"]! <= 3, "what, in \(row.name): \(rates)")
      #expect(rates["told"]! <= 1, "told, in \(row.name): \(rates)")
      #expect(rates["none"]! <= 2, "none, nobody, somebody, in \(row.name): \(rates)")
      let conditions = rates["if"]! + rates["when"]!
      #expect(conditions > 2 * rates["where"]!, "if and when against where, in \(row.name): \(rates)")
    }
    let whole = try #require(rows.last).rates
    #expect(whole["if"]! >= 8, "if, in the whole: \(whole)")
  }
}
