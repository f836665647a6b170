import Glibc
import Names

/// A pattern of paths, as the shell knows them: `*`, `?` and `[…]`, which match neither `/` nor a leading dot.
struct PathPattern: Sendable {
  let text: String

  /// Nil where nothing in it stands for anything else.
  init?(_ text: String) {
    guard text.contains(where: { "*?[".contains($0) }) else { return nil }
    self.text = text
  }

  /// What matches now, in order of names.
  var matches: [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(text.raw, 0, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(path: $0) } }
  }

  /// What the pattern left open in a path that it matched, as a name: `blog` for `/srv/*/app.db` and `/srv/blog/app.db`. A byte
  /// that is no UTF-8 is `%E9` in it.
  func name(of path: String) -> String {
    let pieces = zip(
      text.split(separator: "/", omittingEmptySubsequences: true),
      path.split(separator: "/", omittingEmptySubsequences: true))
    return pieces.filter { PathPattern(String($0.0)) != nil }.map { $0.1.withoutExtension }.joined(separator: "-")
      .percentEncodingBytes
  }

  /// The path as the pattern spells it if it matches, whether a file is there or not.
  ///
  /// - Parameter resolved: with symbolic links resolved, also those of the part before the first `*`.
  func match(_ resolved: String) -> String? {
    let fixed = text.split(separator: "/", omittingEmptySubsequences: false)
      .prefix { PathPattern(String($0)) == nil }.joined(separator: "/")
    let isBelowHere = fixed.isEmpty && !text.hasPrefix("/")
    let real = DatabaseList.real(isBelowHere ? "." : fixed.isEmpty ? "/" : fixed)
    let prefix = real == "/" ? "" : real
    guard resolved.hasPrefix(prefix + "/") else { return nil }
    let rest = resolved.dropFirst(prefix.count)
    let path = isBelowHere ? String(rest.dropFirst()) : fixed + rest
    return fnmatch(text.raw, path.raw, FNM_PATHNAME | FNM_PERIOD) == 0 ? path : nil
  }
}

extension StringProtocol {
  /// `app` for `app.db`, and `.db` for `.db`.
  var withoutExtension: String {
    guard let dot = lastIndex(of: "."), dot != startIndex else { return String(self) }
    return String(self[..<dot])
  }
}
