import BackupEngine
import BackupPolicy

/// A `[[drill.assert]]` table.
struct ConfiguredAssertion: Hashable, Sendable {
  var assertion: DrillAssertion
  /// The name of the database that it is about; nil for each one, or for the one whose table it stands in.
  var database: Given?
}

extension Configuration {
  /// Assertions about databases that there are none of: a query that is never asked proves nothing.
  func assertionProblems() -> [ConfigurationProblem] {
    guard let file else { return [] }
    var list = DatabaseList(configuration: self)
    list.read(single: file.top[.database], tables: file.databases)
    let names = list.databases.map(\.name)
    let mayMatchMore = file.databases.contains { PathPattern($0.path?.raw.text ?? "") != nil }
    return file.assertions.compactMap(\.database).filter { !names.contains($0.raw.text) }.map { given in
      let near = NearestName.of(given.raw.text, in: names).map { "did you mean \($0)?" }
      let known = names.isEmpty ? "none is named in this file" : "there are: \(names.joined(separator: ", ").shortened)"
      return ConfigurationProblem(
        mayMatchMore ? .warning : .error, at: given.origin, "is \(given.raw.quoted), which is no configured database",
        hint: near ?? "leave it out, or name one; \(known)")
    }
  }

  /// - Throws: `usage` for an assertion that would never be asked.
  func requireKnownAssertions() throws {
    if let problem = assertionProblems().first(where: { $0.severity == .error }) { throw problem.error }
  }
}
