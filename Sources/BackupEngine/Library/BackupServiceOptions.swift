/// How a ``BackupService`` makes its archives, where it keeps its state, and how long it waits.
///
/// ```swift
/// var options = BackupServiceOptions()
/// options.compressionLevel = CompressionLevel(6) ?? .standard
/// options.busyTimeout = .seconds(20)
/// let service = try BackupService(
///   databaseURL: "/srv/app/app.db", encryptionPassword: password, options: options)
/// ```
public struct BackupServiceOptions: Sendable {
  /// Whether archives are encrypted. If they are and the service has no password or key, a backup
  /// throws `keyMissing`.
  public var encrypt = true
  /// Whether archives are compressed, as gzip.
  public var compress = true
  /// The effort of the compression.
  public var compressionLevel = CompressionLevel.standard
  /// How archives are encrypted.
  public var cipher = ArchiveCipher.aes256GCM
  /// The folder of this host's state, which is outside of the repositories. Decrypted pages are
  /// also stored there while a backup is checked. Nil for the same folder as the command line:
  /// systemd's `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/holdfast`, else `~/.local/state/holdfast`.
  /// Programs that use one repository on one host must agree on it.
  public var stateFolder: String?
  /// How long a call waits for locks on the database before it throws `busy`; whole milliseconds,
  /// at most 24 days. A negative duration counts as zero.
  public var busyTimeout = Duration.seconds(5)

  /// Makes encrypted archives, compressed at a speed that suits backups of a live database.
  public init() {}

  var archive: ArchiveOptions {
    var archive = ArchiveOptions()
    archive.encrypt = encrypt
    archive.compress = compress
    archive.level = compressionLevel
    archive.cipher = cipher
    return archive
  }
}
