import BackupPolicy
import SQLitePages

/// SQLite's own checks on a private image.
struct DatabaseChecks {
  let environment: EngineEnvironment
  let memo: CheckMemo

  /// Adds the integrity and the foreign-key check. A check that cannot run here is skipped, and a foreign-key violation is a
  /// warning: neither makes a point worse than the database was.
  func run(_ image: String, digest: [UInt8]?, _ verification: inout Verification) throws {
    do {
      let connection = try DatabaseConnection(path: image, access: .readOnly)
      defer { connection.close() }
      // SQLite holds the file now: unlinked, its decrypted content goes when this process goes, however that happens.
      try environment.files.unlink(image)
      try check(connection, digest, &verification)
    } catch let error as DatabaseError {
      guard [.corrupt, .notADatabase].contains(error.kind) else { throw HoldfastError(error) }
      verification.add(.failed, Check.Name.integrity, error.message)
    }
  }

  private func check(_ connection: DatabaseConnection, _ digest: [UInt8]?, _ verification: inout Verification) throws {
    switch try IntegrityCheck.run(.full, on: connection) {
    case .passed:
      verification.add(.passed, Check.Name.integrity)
      if let digest { memo.remember(digest, at: verification.date) }
    case .failed(let messages): verification.add(.failed, Check.Name.integrity, messages.joined(separator: "; "))
    case .skipped(let needs): verification.add(.skipped, Check.Name.integrity, "needs \(needs)")
    }
    guard verification.verified else { return }
    switch try IntegrityCheck.run(.foreignKeys, on: connection) {
    case .passed: verification.add(.passed, Check.Name.foreignKeys)
    case .failed(let messages): verification.add(.warning, Check.Name.foreignKeys, messages.joined(separator: "; "))
    case .skipped(let needs): verification.add(.skipped, Check.Name.foreignKeys, "needs \(needs)")
    }
  }
}

extension CheckMemo {
  private static let kind = "integrity_check"

  /// Whether the integrity check passed for this content with this version of SQLite.
  func passed(_ digest: [UInt8]) -> Bool {
    contains(digest: digest, kind: Self.kind, sqliteVersion: sqliteVersion)
  }

  func remember(_ digest: [UInt8], at time: Timestamp) {
    insert(digest: digest, kind: Self.kind, sqliteVersion: sqliteVersion, at: time)
  }
}
