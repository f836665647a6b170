import Glibc

/// A folder for decrypted files that exist for one command. It is this host's own: users who can
/// read the repository must not be able to read these files, and users who can write there must not
/// be able to replace them.
package struct Scratch {
  package enum Purpose: String, CaseIterable {
    /// SQLite's own copy of a database (see `DatabaseSnapshot`), or a copy of the live database for
    /// a slow reader.
    case copy
    /// Pages that wait to be written to an archive.
    case stage
    /// The image of a backup that is verified.
    case verify
    /// The image of a backup that is queried or compared.
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
  /// Returns this host's scratch folder. Makes it if it is missing, and removes the files of dead
  /// runs.
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
  /// The prefixes of our own temporary names. A file with any other name is not ours.
  private static let prefixes =
    Scratch.Purpose.allCases.map { "\($0.prefix)-" } + [
      ".tmp-backup_", ".tmp-holdfast-", "\(digestsPrefix)-",
      // Decrypted pages that older versions left in a repository.
      ".tmp-look",
    ]

  /// The beginning of the names of temporary files beside a database. The database's name is cut,
  /// so that the file can be made beside every database that SQLite can open. Older versions did
  /// not cut it; their names begin in the same way.
  static func prefix(beside path: String) -> String { ".tmp-holdfast-\(path.lastComponent.cut(toBytes: 40))" }

  static func isOurs(_ name: String) -> Bool {
    prefixes.contains { name.hasPrefix($0) } || (name.hasPrefix(".tmp-") && name.hasSuffix(".json"))
  }

  /// Removes a temporary file unless its maker still lives. A file that cannot be checked or
  /// removed stays, and is no error.
  static func remove(_ path: String, _ files: any FileOperations) {
    // NFS gives an exclusive lock only to a descriptor that is open for writing.
    guard (try? files.status(path))?.kind == .regular, let file = try? files.open(path, .update) else { return }
    defer { files.close(file) }
    guard (try? files.lock(file, exclusive: true, wait: false)) == true else { return }
    try? files.unlink(path)
  }

  /// Removes the files that dead runs left in a folder under names with this prefix.
  static func remove(in folder: String, beginning prefix: String, _ files: any FileOperations) throws {
    for name in try files.list(folder) where name.hasPrefix(prefix) { remove("\(folder)/\(name)", files) }
  }

  /// Makes and locks a temporary file under a unique name.
  ///
  /// Between the creation and the lock another run may treat it as a leftover and remove it. The
  /// name is never used twice. So if the file still exists under the lock, it is ours, and no other
  /// run removes it from then on.
  ///
  /// - Parameter mode: `createPrivate` for decrypted pages, `createNew` for a file that is to stay
  ///   in a repository.
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

  /// Makes a temporary file, runs `body`, and removes the file if `body` throws.
  static func withFile<Result>(
    _ prefix: String, _ files: any FileOperations, _ mode: OpenMode = .createNew, _ body: (OpenFile) throws -> Result
  ) throws -> Result {
    try using(make(prefix, files, mode), files, body)
  }

  /// Does the same with a file that ``make(_:_:)`` made.
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

extension String {
  /// Its first characters, at most `count` bytes of UTF-8.
  func cut(toBytes count: Int) -> Substring {
    var end = startIndex
    while end < endIndex {
      let next = index(after: end)
      guard self[..<next].utf8.count <= count else { break }
      end = next
    }
    return self[..<end]
  }
}
