import Glibc

/// A pattern of paths, as the shell knows them: `*`, `?` and `[…]`, which match neither `/` nor a leading dot.
struct PathPattern {
  let text: String

  /// Nil where nothing in it stands for anything else.
  init?(_ text: String) {
    guard text.contains(where: { "*?[".contains($0) }) else { return nil }
    self.text = text
  }

  /// What matches, in order of names.
  var matches: [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(text, 0, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
  }

  /// What the pattern left open in a path that it matched, as a name: `blog` for `/srv/*/app.db` and `/srv/blog/app.db`.
  func name(of path: String) -> String {
    let pieces = zip(
      text.split(separator: "/", omittingEmptySubsequences: true),
      path.split(separator: "/", omittingEmptySubsequences: true))
    return pieces.filter { PathPattern(String($0.0)) != nil }.map { $0.1.withoutExtension }.joined(separator: "-")
  }
}

extension StringProtocol {
  /// `app` for `app.db`, and `.db` for `.db`.
  var withoutExtension: String {
    guard let dot = lastIndex(of: "."), dot != startIndex else { return String(self) }
    return String(self[..<dot])
  }
}
