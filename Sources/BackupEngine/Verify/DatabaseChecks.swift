import BackupPolicy
import SQLitePages

/// SQLite's own checks on a private image.
struct DatabaseChecks {
  let environment: EngineEnvironment
  let memo: CheckMemo
  /// `full`; or `quick` if the full at the start of the chain passed the full check.
  let kind: IntegrityCheck.Kind

  /// Adds the integrity check and the foreign-key check. A defect that they find was in the
  /// database that was backed up, so it is a finding or a warning and does not devalue the backup.
  /// A check that cannot run here is skipped.
  func run(_ image: String, digest: [UInt8]?, _ verification: inout Verification) throws {
    do {
      let connection = try DatabaseConnection(unlinking: image, environment.files)
      defer { connection.close() }
      try check(connection, digest, &verification)
    } catch let error as DatabaseError {
      guard [.corrupt, .notADatabase].contains(error.kind) else { throw HoldfastError(error) }
      verification.addFindings([error.reason])
    }
  }

  private func check(_ connection: DatabaseConnection, _ digest: [UInt8]?, _ verification: inout Verification) throws {
    switch try IntegrityCheck.run(kind, on: connection) {
    case .passed:
      verification.add(.passed, Check.Name.integrity)
      verification.checkedContent = true
      if let digest { memo.remember(digest, kind, at: verification.date) }
    case .failed(let messages): verification.addFindings(messages)
    case .derivedDataDiffers(let messages):
      verification.checkedContent = true
      verification.add(.warning, Check.Name.integrity, IntegrityCheck.derivedWords(messages))
    case .skipped(let needs): verification.add(.skipped, Check.Name.integrity, "needs \(needs)")
    }
    guard verification.verified else { return }
    switch try IntegrityCheck.run(.foreignKeys, on: connection) {
    case .passed: verification.add(.passed, Check.Name.foreignKeys)
    case .failed(let messages), .derivedDataDiffers(let messages):
      verification.add(.warning, Check.Name.foreignKeys, messages.joined(separator: "; "))
    case .skipped(let needs): verification.add(.skipped, Check.Name.foreignKeys, "needs \(needs)")
    }
  }
}

extension CheckMemo {
  /// Whether SQLite's check passed for this content with this version of SQLite.
  func passed(_ digest: [UInt8], _ chain: PointChain) -> Bool {
    let kinds: [IntegrityCheck.Kind] = chain.links.count > 1 ? [.full, .quick] : [.full]
    return kinds.contains { contains(digest: digest, kind: $0.rawValue, sqliteVersion: sqliteVersion) }
  }

  /// Incrementals whose digest was only updated along the chain get the quick check, if the full of
  /// the chain passed the full check.
  func kind(for chain: PointChain) -> IntegrityCheck.Kind {
    guard chain.links.count > 1, let base = chain.full.metadata.digest.flatMap({ [UInt8](hex: $0) }) else {
      return .full
    }
    return contains(digest: base, kind: IntegrityCheck.Kind.full.rawValue, sqliteVersion: sqliteVersion)
      ? .quick : .full
  }

  func remember(_ digest: [UInt8], _ kind: IntegrityCheck.Kind, at time: Timestamp) {
    insert(digest: digest, kind: kind.rawValue, sqliteVersion: sqliteVersion, at: time)
  }
}

extension Verification {
  /// SQLite's check of the database in an intact archive has findings.
  mutating func addFindings(_ messages: [String]) {
    checkedContent = true
    findings = messages
    add(.warning, Check.Name.integrity, "in the database that was backed up: \(messages.joined(separator: "; "))")
  }
}

extension IntegrityCheck {
  /// Explains a disagreement of derived data.
  static func derivedWords(_ messages: [String]) -> String {
    "the tables are sound, but an index derived from them is not (rebuild it with the module's own command): "
      + messages.joined(separator: "; ")
  }
}
