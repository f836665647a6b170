import ArgumentParser
import BackupEngine
import BackupPolicy

/// What a new point is like.
struct CreationOptions: ParsableArguments {
  @Flag(inversion: .prefixedNo, help: "Encrypt it (BACKUP_ENCRYPTION_ENABLED; default: yes).")
  var encrypt: Bool?

  @Flag(inversion: .prefixedNo, help: "Compress it (BACKUP_COMPRESSION_ENABLED; default: yes).")
  var compress: Bool?

  @Option(help: ArgumentHelp("How hard to compress, 1 (fast) to 9 (small); default 2.", valueName: "1-9"))
  var compressionLevel: Int?

  @Option(help: "The cipher: aes-256-gcm, or aes-256-cbc, which cannot tell tampering.")
  var cipher = ArchiveCipher.aes256GCM

  /// - Throws: `usage` for a level that does not exist, or a variable that is neither yes nor no.
  func request(_ environment: ProcessEnvironment) throws -> CreateRequest {
    var request = CreateRequest()
    request.encrypt = try encrypt ?? environment.flag(.encryption) ?? request.encrypt
    request.compress = try compress ?? environment.flag(.compression) ?? request.compress
    request.cipher = cipher
    if let compressionLevel {
      guard let level = CompressionLevel(compressionLevel) else {
        throw HoldfastError(
          .usage, "--compression-level \(compressionLevel) is out of range", hint: "use 1 (fast) to 9 (small)")
      }
      request.level = level
    }
    return request
  }
}

extension CreateRequest {
  /// What the environment says of backups that a command makes on the side.
  init(_ environment: ProcessEnvironment) throws {
    self.init()
    encrypt = try environment.flag(.encryption) ?? encrypt
    compress = try environment.flag(.compression) ?? compress
  }
}

extension ArchiveCipher: ExpressibleByArgument {}
