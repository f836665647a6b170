import BackupPolicy
import SQLitePages

/// The integrity checks that passed, by digest, so that the same SQLite does not check the same
/// content twice.
///
/// Stored in `.state/checks.json`. It is a memo that can always be rebuilt, and never a reason to
/// trust an archive.
struct CheckMemo {
  let repository: Repository
  private static let limit = 2000

  var sqliteVersion: String { DatabaseConnection.libraryVersion }

  private var path: String { repository.path(".state/checks.json") }

  func contains(digest: [UInt8], kind: String, sqliteVersion: String) -> Bool {
    load()["\(digest.hex) \(kind) \(sqliteVersion)"] != nil
  }

  /// Records a passed check. If recording fails, the check still counts as passed.
  func insert(digest: [UInt8], kind: String, sqliteVersion: String, at time: Timestamp) {
    var known = load()
    known["\(digest.hex) \(kind) \(sqliteVersion)"] = time.iso8601
    if known.count > Self.limit {
      let oldest = known.sorted { $0.value < $1.value }.prefix(known.count - Self.limit)
      for (key, _) in oldest { known[key] = nil }
    }
    save(known)
  }

  /// Removes every check of some contents, given by their digests in hexadecimal.
  func remove(digests: [String]) {
    let doubtful = Set(digests)
    let known = load()
    let kept = known.filter { key, _ in !doubtful.contains(String(key.prefix { $0 != " " })) }
    if kept.count < known.count { save(kept) }
  }

  private func save(_ known: [String: String]) {
    let bytes = JSONValue.object(JSONObject(known.map { (key: Array($0.utf8), value: .string($1)) })).encoded()
    try? repository.files.replace(path, with: bytes, durable: false)
  }

  private func load() -> [String: String] {
    guard let bytes = try? repository.files.contents(path), case .object(let keys) = JSONValue(parsing: bytes) else {
      return [:]
    }
    return keys.keys.reduce(into: [:]) { known, key in
      if case .string(let text)? = keys[key] { known[key] = text }
    }
  }
}
