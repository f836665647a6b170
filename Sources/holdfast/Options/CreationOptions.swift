import ArgumentParser
import BackupEngine
import BackupPolicy

/// What a new point is like.
struct CreationOptions: ParsableArguments {
  @Flag(.encryptionEnabled) var encrypt: Bool?
  @Flag(.compressionEnabled) var compress: Bool?
  @Option(.compressionLevel) var compressionLevel: String?
  @Option(.cipher) var cipher: String?

  /// What the flags of this group say.
  var flags: Layer {
    .flags([
      .encryptionEnabled: encrypt.map { "\($0)" }, .compressionEnabled: compress.map { "\($0)" },
      .compressionLevel: compressionLevel, .cipher: cipher,
    ])
  }
}

extension CreateRequest {
  /// As it is configured.
  ///
  /// - Throws: `usage` for a value that does not fit.
  init(_ settings: Settings) throws {
    self.init()
    encrypt = try settings.boolean(.encryptionEnabled)
    compress = try settings.boolean(.compressionEnabled)
    level = try settings.integer(.compressionLevel).flatMap(CompressionLevel.init) ?? level
    cipher = try settings.choice(.cipher) ?? cipher
  }
}
