import BackupEngine
import BackupPolicy
import Logging

/// Finds the password and the key of a database's settings, else the default key file.
struct CredentialSettings {
  let settings: Settings
  let files: any FileOperations
  /// Whether errors name the setting that names a file; false if the caller names it.
  var namesSettings = true

  /// - Throws: `keyMissing` if a named file cannot be used; `usage` if two passwords are set.
  func credentials() throws -> Credentials {
    let password = try password()
    var key = try secret(.keyFile) { try Credentials.readKey($0, files) }
    var sources = sourcesInWords(password != nil, key != nil)
    if password == nil, key == nil {
      key = try defaultKey()
      if key != nil, let path = settings.folders.keyFile { sources = ["the key file \(path)"] }
    }
    return Credentials(
      password: password, key: key, source: sources.isEmpty ? nil : sources.joined(separator: " and "))
  }

  /// The tried sources, for messages, and the default key file that was not tried because a
  /// password takes precedence.
  private func sourcesInWords(_ hasPassword: Bool, _ hasKey: Bool) -> [String] {
    var sources: [String] = []
    if hasPassword, let layer = settings.layers.first(where: { $0.password != nil || $0[.passwordFile] != nil }) {
      let origin = layer[.passwordFile]?.origin ?? layer.passwordOrigin ?? .standard
      sources.append("the password of \(origin.words)")
    }
    if hasKey { sources.append("the key file of \(settings.origin(.keyFile).words)") }
    if hasPassword, !hasKey, let path = settings.folders.keyFile, (try? files.status(path)) != nil {
      sources[0] += ", which takes precedence over the key file \(path)"
    }
    return sources
  }

  /// The files that the next start would read: the named ones, `.env` if it gives the password,
  /// else the default key file.
  func paths() -> [String] {
    let files = [SettingKey.keyFile, .passwordFile].map { try? settings.path($0) }
    let named = (files + [passwordEnvironmentFile]).compactMap { $0 }
    let hasPassword = settings.layers.contains { $0.password != nil }
    return named.isEmpty && !hasPassword ? [settings.folders.keyFile].compactMap { $0 } : named
  }

  /// The `.env` file whose password counts; nil if the password comes from elsewhere.
  private var passwordEnvironmentFile: String? {
    let layer = settings.layers.first { $0.password != nil || $0[.passwordFile] != nil }
    guard case .envFile(let path, _, _)? = layer?.passwordOrigin else { return nil }
    return path
  }

  /// The credentials as the next start would find them: files, `.env` included, are read again.
  ///
  /// - Throws: as ``credentials()``; `keyMissing` if the `.env` file is gone.
  func credentialsOfNextStart() throws -> Credentials {
    guard let path = passwordEnvironmentFile else { return try credentials() }
    guard let bytes = try files.contents(path) else {
      throw HoldfastError(
        .keyMissing, "cannot read the password: \(path) does not exist", hint: "restore \(path) with the same password")
    }
    let layer = EnvironmentFile(bytes, path: path).layer
    let layers = settings.layers.map { old -> Layer in
      guard case .envFile? = old.passwordOrigin else { return old }
      var new = old
      (new.password, new.passwordOrigin) = (layer.password, layer.passwordOrigin)
      return new
    }
    let settings = Settings(layers: layers, folders: settings.folders, assertions: settings.assertions)
    return try CredentialSettings(settings: settings, files: files).credentials()
  }

  /// For commands that do not need the content of encrypted archives: an unreadable source is a
  /// warning, unless a flag names it.
  func credentialsIfUsable(_ logger: Logger) throws -> Credentials {
    do {
      return try credentials()
    } catch let error where !settings.origin(.keyFile).isFlag && !settings.origin(.passwordFile).isFlag {
      logger.warning("continuing without a password or key: \((error as? HoldfastError)?.message ?? "\(error)")")
      return Credentials()
    }
  }

  /// The highest layer with a password counts, in either of the two forms.
  private func password() throws -> SecretBytes? {
    guard let layer = settings.layers.first(where: { $0.password != nil || $0[.passwordFile] != nil }) else {
      return nil
    }
    guard let file = layer[.passwordFile] else { return layer.password }
    guard layer.password == nil else {
      let both = "\(SettingKey.password.variable) and \(SettingKey.passwordFile.variable) are both set"
      if case .envFile(let path, let position, _) = file.origin {
        throw HoldfastError(
          .usage, "\(path):\(position.line):\(position.column): \(both)", hint: "remove one of them")
      }
      throw HoldfastError(.usage, both, hint: "unset one of them")
    }
    return try secret(.passwordFile) { try Credentials.readPassword($0, files) }
  }

  /// Reads the file that a setting names. A failure names the place of the setting, unless it is a
  /// flag, which is in the command itself.
  private func secret(_ key: SettingKey, _ read: (String) throws -> SecretBytes) throws -> SecretBytes? {
    guard let path = try settings.path(key) else { return nil }
    let origin = settings.origin(key)
    do {
      return try read(path)
    } catch let error as HoldfastError where namesSettings && !origin.isFlag {
      throw HoldfastError(
        error.code, "\(error.message) (named by \(origin.words))",
        hint: error.hint ?? "check the path and its permissions", cause: error.cause)
    }
  }

  private func defaultKey() throws -> SecretBytes? {
    guard let path = settings.folders.keyFile, try files.status(path) != nil else { return nil }
    return try Credentials.readKey(path, files)
  }
}

/// The file with the key that encrypts backups: 64 hexadecimal digits and a line end.
struct KeyFile {
  let path: String
  let files: any FileOperations

  /// Creates the file (0600) with a new key, and its folder (0700), flushed to the disk. Returns
  /// false if a usable file exists already: a key is never overwritten, because its backups would
  /// be lost with it.
  ///
  /// - Throws: `keyMissing` if the file exists and holds no key.
  func createUnlessPresent() throws -> Bool {
    if try files.status(path) != nil {
      _ = try Credentials.readKey(path, files)
      return false
    }
    try files.makeFolders(path.parentPath)
    let temporary = "\(path).tmp-new"
    try files.unlink(temporary)
    do {
      try write(temporary)
      // Refuses to replace: another process may have created one since.
      try files.renameNew(temporary, to: path)
    } catch {
      try? files.unlink(temporary)
      throw error
    }
    try files.syncFolder(path.parentPath)
    return true
  }

  private func write(_ temporary: String) throws {
    let file = try files.open(temporary, .createNew)
    defer { files.close(file) }
    var line = try SecretBytes.random(32).hex.utf8.map { $0 } + [UInt8(ascii: "\n")]
    try line.withUnsafeMutableBytes { try files.write(file, UnsafeRawBufferPointer($0), at: 0) }
    try files.sync(file)
  }
}
