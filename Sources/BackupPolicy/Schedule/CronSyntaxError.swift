/// Where a schedule cannot be read, and why.
package struct CronSyntaxError: Error, Hashable, Sendable {
  /// The whole schedule.
  package var text = ""
  /// The first character that is wrong, counted from 1.
  package var column: Int
  /// How many characters are wrong, at least 1.
  package var length: Int
  /// What is wrong with them: lower case, no full stop.
  package var problem: String
  /// What may stand there instead.
  package var hint: String

  init(_ part: CronText, _ problem: String, hint: String) {
    column = part.column
    length = max(1, part.characters.count)
    self.problem = problem
    self.hint = hint
  }

  /// The error that callers see.
  func explained(in text: String) -> HoldfastError {
    var cause = self
    cause.text = text
    let shown = text.count > 200 ? text.prefix(200) + "…" : text[...]
    return HoldfastError(.usage, "schedule '\(shown)', column \(column): \(problem)", hint: hint, cause: cause)
  }
}

/// A part of a schedule that knows where it stands.
struct CronText {
  var characters: ArraySlice<Character>

  init(_ characters: ArraySlice<Character>) { self.characters = characters }

  /// Of its first character, from 1.
  var column: Int { characters.startIndex + 1 }
  var string: String { String(characters) }
  /// For messages, where a person may have pasted anything.
  var quoted: String { characters.count > 40 ? "'\(String(characters.prefix(40)))…'" : "'\(string)'" }

  func split(_ isSeparator: (Character) -> Bool, keepingEmpty: Bool) -> [CronText] {
    characters.split(omittingEmptySubsequences: !keepingEmpty, whereSeparator: isSeparator).map(CronText.init)
  }
}
