/// How a ``BackupService`` makes its archives, where it remembers things, and how long it waits.
///
/// ```swift
/// var options = BackupServiceOptions()
/// options.compressionLevel = CompressionLevel(6) ?? .standard
/// options.busyTimeout = .seconds(20)
/// let service = try BackupService(
///   databaseURL: "/srv/app/app.db", encryptionPassword: password, options: options)
/// ```
public struct BackupServiceOptions: Sendable {
  /// Whether archives are encrypted; a service without a password or key then stores nothing and says so.
  public var encrypt = true
  /// Whether archives are compressed, as gzip.
  public var compress = true
  /// How hard to compress.
  public var compressionLevel = CompressionLevel.standard
  /// How archives are encrypted.
  public var cipher = ArchiveCipher.aes256GCM
  /// What this host remembers of its repositories, outside them; also where decrypted pages lie while something is checked.
  /// Nil for what the command line uses: systemd's `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/holdfast`, else
  /// `~/.local/state/holdfast`. Programs that use one repository on one host must agree on it.
  public var stateFolder: String?
  /// How long a call waits for locks on the database before it throws `busy`; whole milliseconds, at most 24 days. A negative
  /// duration counts as zero.
  public var busyTimeout = Duration.seconds(5)

  /// Encrypted, compressed, at the speed that suits backups of a live database.
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
