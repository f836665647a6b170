import BackupPolicy

extension FileOwnershipFacts {
  /// - Parameters:
  ///   - path: the file that is to be restored.
  ///   - point: the backup from which it is restored.
  init(_ path: String, _ point: StoredPoint, _ environment: EngineEnvironment) throws {
    let (files, folder) = (environment.files, path.parentPath)
    guard let status = try files.status(folder) else {
      throw HoldfastError(.failed, "the folder \(folder) no longer exists", hint: "create the folder first")
    }
    self.init(
      recorded: point.metadata.databaseAttributes,
      isAuthentic: point.isAuthenticated && point.name.encrypted && point.metadata.cipher == .aes256GCM,
      isFromHere: point.metadata.host == environment.host, existing: try files.attributes(ofDatabase: path),
      folder: status.attributes, process: .current)
  }
}
