import BackupPolicy

/// A database as people name it: a path, or the URL of the original service's `DATABASE_URL`.
package enum DatabaseAddress {
  /// The path in `text`: `sqlite:///relative.db`, `sqlite:////absolute.db` (also with a driver, `sqlite+aiosqlite:///…`), or a plain
  /// path. Nothing is percent-decoded; what follows a `?` in a URL are the driver's options and is left out.
  ///
  /// - Parameter source: the flag, variable or argument it comes from, for messages.
  /// - Throws: `usage` for the URL of another database, one without a path, or one in memory.
  package static func path(_ text: String, from source: String) throws -> String {
    guard let separator = text.firstRange(of: "://"), isScheme(text[..<separator.lowerBound]) else { return text }
    let scheme = text[..<separator.lowerBound].lowercased()
    guard scheme == "sqlite" || scheme.hasPrefix("sqlite+") else {
      // The rest of such a URL may hold a password.
      throw invalid(source, "is a \(scheme) URL, and only SQLite databases can be backed up")
    }
    let rest = text[separator.upperBound...].prefix { $0 != "?" }
    guard rest.hasPrefix("/") else { throw invalid(source, "names a host: \(text.shortened)") }
    let path = String(rest.dropFirst())
    guard !path.isEmpty, path != ":memory:" else {
      throw invalid(source, "names no file: \(text.shortened)")
    }
    return path
  }

  private static func isScheme(_ text: Substring) -> Bool {
    !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+.-".contains($0)) }
  }

  private static func invalid(_ source: String, _ problem: String) -> HoldfastError {
    HoldfastError(
      .usage, "\(source) \(problem)",
      hint: "use a path, sqlite:///relative.db or sqlite:////absolute.db")
  }
}
