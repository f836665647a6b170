/// How a reader can type the commands that a text names, such as `holdfast restore latest`.
///
/// The command line adds the options of its caller, so that a person can paste the command. A mail
/// or a page has no caller.
package struct CommandSpelling: Sendable {
  /// The commands as the text has them.
  package static let plain = CommandSpelling { $0 }

  private let spell: @Sendable (String) -> String

  /// - Parameter spell: returns a text with each command in it as the reader can type it.
  package init(_ spell: @escaping @Sendable (String) -> String) { self.spell = spell }

  /// Returns the text with each command in it as the reader can type it.
  package func applied(to text: String) -> String { spell(text) }
}
