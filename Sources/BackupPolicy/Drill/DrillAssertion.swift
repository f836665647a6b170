/// Something that a person knows of the database's content, and that a restored copy is asked for: a query and its answer.
package struct DrillAssertion: Hashable, Sendable {
  /// What it is called; nil where nobody gave it a name.
  package var name: String?
  /// One statement that reads.
  package var sql: String
  /// The answer, as `sqlite3` prints it in its list mode: columns with `|` between them, a line for each row, nothing for NULL.
  package var expect: String

  package init(name: String? = nil, sql: String, expect: String) {
    self.name = name
    self.sql = sql
    self.expect = expect
  }

  /// What messages and the history call it; the history is readable without a key, so it must not quote the query.
  ///
  /// - Parameter number: its place among the assertions, from 1.
  package func label(_ number: Int) -> String { name ?? "assertion \(number)" }

  /// Whether an answer is the expected one. Line ends and spaces around it do not count: a person wrote it into a file.
  package func isMet(by answer: String) -> Bool {
    Self.trimmed(answer).utf8.elementsEqual(Self.trimmed(expect).utf8)
  }

  private static func trimmed(_ text: String) -> Substring {
    let text = text.drop { $0.isWhitespace }
    guard let last = text.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return text[...last]
  }
}
