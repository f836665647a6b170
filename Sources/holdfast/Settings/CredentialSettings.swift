import BackupEngine
import BackupPolicy
import Logging

/// Finds the password and the key: flags, then the environment, then the default key file.
struct CredentialSettings {
  /// `--key-file`.
  var keyFile: String?
  /// `--password-file`.
  var passwordFile: String?
  let environment: ProcessEnvironment
  let files: any FileOperations

  /// - Throws: `keyMissing` where a file that is named cannot be used; `usage` where two passwords are set.
  func credentials() throws -> Credentials {
    let password = try password()
    var key = try (keyFile ?? environment[.keyFile]).map { try Credentials.readKey($0, files) }
    if password == nil, key == nil { key = try defaultKey() }
    return Credentials(password: password, key: key)
  }

  /// For commands that read sealed archives' content only in passing: what cannot be read now is a warning, unless a flag
  /// asked for it.
  func credentialsIfUsable(_ logger: Logger) throws -> Credentials {
    do {
      return try credentials()
    } catch let error where keyFile == nil && passwordFile == nil {
      logger.warning("going on without a password or key: \((error as? HoldfastError)?.message ?? "\(error)")")
      return Credentials()
    }
  }

  private func password() throws -> SecretBytes? {
    if let passwordFile { return try Credentials.readPassword(passwordFile, files) }
    guard let password = environment.password else {
      return try environment[.passwordFile].map { try Credentials.readPassword($0, files) }
    }
    guard environment[.passwordFile] == nil else {
      throw HoldfastError(
        .usage, "BACKUP_ENCRYPTION_PASSWORD and BACKUP_ENCRYPTION_PASSWORD_FILE are both set", hint: "unset one of them"
      )
    }
    return password
  }

  private func defaultKey() throws -> SecretBytes? {
    guard let path = StandardFolders(environment: environment).keyFile, try files.status(path) != nil else {
      return nil
    }
    return try Credentials.readKey(path, files)
  }
}
