import BackupEngine
import Glibc
import Names

/// A pattern of paths, as the shell knows them: `*`, `?` and `[…]`, which match neither `/` nor a
/// leading dot.
struct PathPattern: Sendable {
  let text: String

  /// Nil if it has no `*`, `?` or `[`.
  init?(_ text: String) {
    guard text.contains(where: { "*?[".contains($0) }) else { return nil }
    self.text = text
  }

  /// The paths that match now, in order of names. A file whose name is the pattern's own text, as
  /// `app[1].db`, is a match like any other.
  var matches: [String] {
    var found = glob_t()
    defer { globfree(&found) }
    var matches: [String] = []
    if glob(text.raw, 0, nil, &found) == 0, let paths = found.gl_pathv {
      matches = (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(path: $0) } }
    }
    let isListed = matches.contains { $0.isExactly(text) }
    return isListed || !DatabaseList.exists(text) ? matches : matches + [text]
  }

  /// The parts of a path that the pattern's wildcards matched, as a name: `shop.com` for
  /// `/srv/*/app.db` and `/srv/shop.com/app.db`. A file loses its extension. A byte that is not
  /// UTF-8 becomes `%E9`.
  func name(of path: String) -> String {
    let pieces = matchedPieces(of: path)
    return pieces.map { $0.isFile ? $0.text.withoutExtension : $0.text }.joined(separator: "-").percentEncodingBytes
  }

  /// The name, and the name by earlier versions, which also removed the extension of folders.
  func names(of path: String) -> [ExactPath] {
    let former = matchedPieces(of: path).map(\.text.withoutExtension).joined(separator: "-").percentEncodingBytes
    return [ExactPath(name(of: path)), ExactPath(former)]
  }

  private func matchedPieces(of path: String) -> [(text: String, isFile: Bool)] {
    let parts = text.split(separator: "/", omittingEmptySubsequences: true)
    let pieces = zip(parts, path.split(separator: "/", omittingEmptySubsequences: true)).enumerated()
    return pieces.filter { PathPattern(String($0.element.0)) != nil }.map {
      (String($0.element.1), $0.offset == parts.count - 1)
    }
  }

  /// An absolute path with its links as they were given, as the pattern spells it; nil if it does not match.
  func spelling(of given: String) -> String? {
    let absolute = text.absolutePath
    guard fnmatch(absolute.raw, given.raw, FNM_PATHNAME | FNM_PERIOD) == 0 else { return nil }
    return String(given.utf8.dropFirst(absolute.utf8.count - text.utf8.count))
  }

  /// The path as the pattern spells it if it matches, whether a file is there or not.
  ///
  /// - Parameter resolved: with symbolic links resolved, also those of the part before the first
  ///   `*`.
  func match(_ resolved: String) -> String? {
    let fixed = text.split(separator: "/", omittingEmptySubsequences: false)
      .prefix { PathPattern(String($0)) == nil }.joined(separator: "/")
    let isBelowHere = fixed.isEmpty && !text.hasPrefix("/")
    let real = DatabaseList.real(isBelowHere ? "." : fixed.isEmpty ? "/" : fixed)
    let prefix = real == "/" ? "" : real
    guard resolved.utf8.starts(with: (prefix + "/").utf8),
      let rest = String(resolved.utf8.dropFirst(prefix.utf8.count))
    else { return nil }
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
