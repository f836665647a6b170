import BackupPolicy

/// A database as people name it: a path, or a URL in one of the spellings of SQLite's users.
///
/// | spelling | of | path |
/// |---|---|---|
/// | `sqlite:///a.db`, `sqlite+driver:///a.db` | SQLAlchemy, Django | `a.db`; four slashes: `/a.db` |
/// | `sqlite3:///a.db`, `jdbc:sqlite:/a.db`, `sqlite:/a.db`, `file:///a.db`, `file:/a.db` | Rails, JDBC, sqlx, SQLite | `/a.db` |
/// | `sqlite3:a.db`, `jdbc:sqlite:a.db`, `sqlite:a.db`, `sqlite://a.db`, `file:a.db` | Rails, JDBC, sqlx, Prisma | `a.db` |
package enum DatabaseAddress {
  /// The path in `text`. The part of a URL after a `?` holds the driver's options, and is omitted.
  ///
  /// - Parameter source: the flag, variable or argument that gave the text, for messages.
  /// - Throws: `usage` for the URL of another database, one without a path, one in memory, and one
  ///   with `%20` and similar escapes, which some programs decode and others do not.
  package static func path(_ text: String, from source: String) throws -> String {
    guard let (scheme, rest) = split(text) else { return text }
    guard isSQLite(scheme) else {
      // The rest of such a URL may hold a password.
      throw invalid(source, "is a \(scheme) URL, but only SQLite databases can be backed up")
    }
    let query = rest.drop { $0 != "?" }
    let path = path(scheme, rest.prefix { $0 != "?" })
    guard !path.isEmpty, !path.contains(":memory:"), !query.contains("mode=memory") else {
      throw invalid(source, "names no file: \(text.shortened)")
    }
    // Flask's `sqlite:///file:a.db?uri=true`
    if path.hasPrefix("file:") { return try Self.path(path + query, from: source) }
    guard !hasEscape(path) else {
      throw HoldfastError(
        .usage, "\(source) holds a % with two digits, which some programs decode and others do not: \(text.shortened)",
        hint: "write sqlite:\(decoded(path)), or the path \(path.hasPrefix("/") ? "" : "./")\(path) if that is its name"
      )
    }
    return path
  }

  /// The scheme of a URL that names a database of another kind, such as `postgres`; nil for a path
  /// and for SQLite's.
  package static func foreignScheme(_ text: String) -> String? {
    guard let (scheme, _) = split(text), !isSQLite(scheme) else { return nil }
    return scheme
  }

  /// The scheme in lower case, and the rest with its slashes; nil for a path.
  private static func split(_ text: String) -> (scheme: String, rest: Substring)? {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    let (scheme, rest) = (text[..<colon].lowercased(), text[text.index(after: colon)...])
    guard isScheme(scheme) else { return nil }
    if scheme == "jdbc" { return split(String(rest)) }
    // A path may have a colon. The address of another kind of database also has slashes.
    return isSQLite(scheme) || rest.hasPrefix("//") ? (scheme, rest) : nil
  }

  private static func path(_ scheme: String, _ rest: Substring) -> String {
    var path = rest
    let isSQLAlchemy = scheme == "sqlite" || scheme.hasPrefix("sqlite+")
    if path.hasPrefix("///"), isSQLAlchemy {
      path = path.dropFirst(3)
    } else if path.hasPrefix("//localhost/"), scheme == "file" {
      path = path.dropFirst("//localhost".count)
    } else if path.hasPrefix("//") {
      path = path.dropFirst(2)
    }
    if scheme == "file" { path = path.prefix { $0 != "#" } }
    return path.hasPrefix("//") ? "/" + path.drop { $0 == "/" } : String(path)
  }

  private static func isSQLite(_ scheme: String) -> Bool {
    ["sqlite", "sqlite3", "file"].contains(scheme) || scheme.hasPrefix("sqlite+")
  }

  private static func isScheme(_ text: String) -> Bool {
    !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+.-".contains($0)) }
  }

  private static func hasEscape(_ path: String) -> Bool { decoded(path) != path }

  /// Replaces the escapes of printable characters.
  private static func decoded(_ path: String) -> String {
    var (rest, text) = (Array(path.utf8)[...], [UInt8]())
    while let byte = rest.popFirst() {
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      if byte == UInt8(ascii: "%"), digits.utf8.count == 2, let value = UInt8(digits, radix: 16), value >= 0x20 {
        text.append(value)
        rest = rest.dropFirst(2)
      } else {
        text.append(byte)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func invalid(_ source: String, _ problem: String) -> HoldfastError {
    HoldfastError(
      .usage, "\(source) \(problem)",
      hint: "use a path, sqlite:///relative.db or sqlite:////absolute.db")
  }
}
