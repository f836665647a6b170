/// The reason for a backup; the metadata's `backup_type`. Retention counts the first three, and
/// keeps the others by age.
///
/// ```swift
/// let migrations = try await service.list().filter { $0.backupType == .guard }
/// ```
public enum BackupType: Hashable, Sendable, RawRepresentable, CustomStringConvertible {
  /// A person or a script requested it.
  case manual
  /// Its scheduled time arrived.
  case scheduled
  /// The database had changed.
  case change
  /// The content that a restore replaced.
  case safety
  /// Made before a command that might do harm.
  case `guard`
  /// A word that this version does not know. It survives a rewrite of the metadata.
  case unknown(String)

  /// The types that this version knows.
  public static let known: [BackupType] = [.manual, .scheduled, .change, .safety, .guard]

  /// - Parameter rawValue: as the metadata spells it; never fails.
  public init(rawValue: String) {
    self = Self.known.first { $0.rawValue == rawValue } ?? .unknown(rawValue)
  }

  /// As the metadata spells it.
  public var rawValue: String {
    switch self {
    case .manual: "manual"
    case .scheduled: "scheduled"
    case .change: "change"
    case .safety: "safety"
    case .guard: "guard"
    case .unknown(let word): word
    }
  }

  /// The same as ``rawValue``.
  public var description: String { rawValue }

  /// Made to undo something, and not part of the database's own history.
  package var isSafety: Bool { self == .safety || self == .guard }
}

extension BackupType {
  /// The types of the backups that the agent makes.
  package static let triggers: [BackupType] = [.change, .manual, .scheduled]

  /// Its backups are fulls, even if nothing changed.
  package var isAlwaysFull: Bool { self != .change }
  /// The agent reads its backups back completely, whatever the settings say.
  package var isVerified: Bool { self == .scheduled }
  /// The agent applies retention after its backups. A person who requests a backup does not request
  /// a cleanup.
  package var isFollowedByCleanup: Bool { self != .manual }

  /// The agent stores nothing if nothing changed since the newest backup.
  package func skipsUnchanged(_ settings: TriggerSettings) -> Bool { self == .scheduled && settings.skipUnchanged }
}

/// The content of a backup; the metadata's `kind`.
///
/// ```swift
/// let fulls = try await service.list().filter { $0.kind == .full }
/// ```
public enum BackupKind: String, Hashable, Sendable, CaseIterable {
  /// All pages of the database.
  case full
  /// The pages that changed since its parent.
  case incremental
  /// The files of a damaged database as they were found, in a tar archive.
  case raw
}

/// The known condition of a backup; the metadata's `status`.
///
/// ```swift
/// let failed = try await service.list().filter { $0.status == .failed }
/// ```
public enum BackupStatus: String, Hashable, Sendable, CaseIterable {
  /// Stored, and not verified since.
  case completed
  /// Verified completely; the archive passed.
  case verified
  /// Its archive is damaged or missing, or it failed its verification. A flaw of the database in it
  /// does not lead to this status: that is recorded as a finding.
  case failed
  /// Stored, with unusual content that has not been accepted yet.
  case anomalous
  /// An incremental that may lack a page, as a later full found; or the files of a damaged database as they were found.
  case suspect
  /// There is no proof that this host or its key made it; it is restored only on explicit request.
  case unauthenticated
}

/// The protection of an archive, as far as the choice between full and incremental needs it.
package enum Protection: String, Hashable, Sendable {
  case none
  /// Authenticated, bound to its repository and backup.
  case aes256GCM = "aes-256-gcm"
  /// The original service's format, which has fulls only.
  case aes256CBC = "aes-256-cbc"
}
