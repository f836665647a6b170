import BackupPolicy

/// How an archive is encrypted. The metadata contains the raw values.
///
/// ```swift
/// var options = BackupServiceOptions()
/// options.cipher = .aes256CBC  // for readers of the original format
/// ```
public enum ArchiveCipher: String, Sendable, Codable, CaseIterable {
  /// The default: authenticated, bound to its repository and backup.
  case aes256GCM = "aes-256-gcm"
  /// The original Python service's format, which cannot detect tampering.
  case aes256CBC = "aes-256-cbc"

  var protection: Protection {
    switch self {
    case .aes256GCM: .aes256GCM
    case .aes256CBC: .aes256CBC
    }
  }
}
