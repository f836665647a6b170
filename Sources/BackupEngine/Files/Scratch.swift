import Glibc

/// A folder for decrypted files that live for one command. It is this host's own: whoever can read the repository must not be
/// able to read them, and whoever can write there must not be able to swap them.
package struct Scratch {
  package enum Purpose: String, CaseIterable {
    /// SQLite's own copy of a database (see `DatabaseSnapshot`), and a copy of the live database to read at leisure.
    case copy
    /// Pages that wait to be written to an archive.
    case stage
    /// The image of a backup that is verified.
    case verify
    /// The image of a backup to look into.
    case point

    var prefix: String { ".tmp-\(rawValue)" }
  }

  let folder: String
  private let files: any FileOperations

  fileprivate init(_ folder: String, _ files: any FileOperations) {
    (self.folder, self.files) = (folder, files)
  }

  /// The beginning of the paths of such files.
  package func path(_ purpose: Purpose) -> String { "\(folder)/\(purpose.prefix)" }

  /// Makes and locks a file that only its owner can read.
  func makeFile(_ purpose: Purpose) throws -> OpenFile { try Leftovers.make(path(purpose), files, .createPrivate) }

  /// Makes a file, runs `body`, and removes the file.
  func withFile<Result>(_ purpose: Purpose, _ body: (OpenFile) throws -> Result) throws -> Result {
    try Leftovers.using(makeFile(purpose), files) { file in
      defer { try? files.unlink(file.path) }
      return try body(file)
    }
  }
}

extension Repository {
  /// This host's scratch folder, made if it is not there, and without what dead runs left in it.
  package func scratch() throws -> Scratch {
    let folder = "\(hostStates.folder)/scratch"
    try files.makeFolders(folder)
    try removeLeftovers(in: folder)
    return Scratch(folder, files)
  }
}

/// Temporary files: each is locked by the run that made it, for as long as that run lives.
enum Leftovers {
  static let digestsPrefix = ".tmp-digests"
  /// What our own temporary names begin with; anything else is somebody's file.
  private static let prefixes =
    Scratch.Purpose.allCases.map { "\($0.prefix)-" } + [
      ".tmp-backup_", ".tmp-holdfast-", "\(digestsPrefix)-",
      // Decrypted pages that older versions left in a repository.
      ".tmp-look",
    ]

  static func isOurs(_ name: String) -> Bool {
    prefixes.contains { name.hasPrefix($0) } || (name.hasPrefix(".tmp-") && name.hasSuffix(".json"))
  }

  /// Removes a temporary file unless its maker still lives. One that cannot be judged or removed stays, and stops nothing.
  static func remove(_ path: String, _ files: any FileOperations) {
    // NFS gives an exclusive lock only to a descriptor that is open for writing.
    guard (try? files.status(path))?.kind == .regular, let file = try? files.open(path, .update) else { return }
    defer { files.close(file) }
    guard (try? files.lock(file, exclusive: true, wait: false)) == true else { return }
    try? files.unlink(path)
  }

  /// Removes what dead runs left in a folder under names that begin so.
  static func remove(in folder: String, beginning prefix: String, _ files: any FileOperations) throws {
    for name in try files.list(folder) where name.hasPrefix(prefix) { remove("\(folder)/\(name)", files) }
  }

  /// Makes and locks a temporary file under a name that nobody else uses.
  ///
  /// Between the making and the lock another run may take it for a leftover and remove it. The name is never given twice, so
  /// that it is still there under the lock proves that it is ours; nobody removes it from then on.
  ///
  /// - Parameter mode: `createPrivate` for decrypted pages, `createNew` for what is to stay in a repository.
  static func make(_ prefix: String, _ files: any FileOperations, _ mode: OpenMode = .createNew) throws -> OpenFile {
    while true {
      let path = "\(prefix)-\(getpid())-\(try SecretBytes.random(6).hex)"
      let file = try files.open(path, mode)
      do {
        if try files.lock(file, exclusive: true, wait: false), try files.status(path) != nil { return file }
      } catch {
        try? files.unlink(path)
        files.close(file)
        throw error
      }
      files.close(file)
    }
  }

  /// Makes a temporary file, runs `body`, and removes the file where `body` throws.
  static func withFile<Result>(
    _ prefix: String, _ files: any FileOperations, _ mode: OpenMode = .createNew, _ body: (OpenFile) throws -> Result
  ) throws -> Result {
    try using(make(prefix, files, mode), files, body)
  }

  /// The same with a file that ``make(_:_:)`` made.
  static func using<Result>(
    _ file: OpenFile, _ files: any FileOperations, _ body: (OpenFile) throws -> Result
  ) throws -> Result {
    defer { files.close(file) }
    do {
      return try body(file)
    } catch {
      try? files.unlink(file.path)
      throw error
    }
  }
}
