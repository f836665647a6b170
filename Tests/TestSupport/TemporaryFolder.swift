import BackupEngine
import BackupPolicy
import Glibc

/// A folder of its own for one test, below `$TMPDIR` or `/tmp`, removed with everything in it when
/// the test releases it: keep it in a variable or property, not only its path.
package final class TemporaryFolder: Sendable {
  /// Absolute, without symbolic links or a slash at the end.
  package let path: String

  /// - Parameter base: the folder in which it is created, instead of `$TMPDIR`.
  package init(in base: String? = nil) throws {
    let base = base ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    guard let real = realpath(base, nil) else { throw HoldfastError(errno: errno, "find", base) }
    defer { free(real) }
    var template = Array("\(String(cString: real))/holdfast-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw HoldfastError(errno: errno, "create a folder in", base) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { removeTree(path) }

  /// The path of a name in it.
  package func path(_ name: String) -> String { "\(path)/\(name)" }

  /// Creates or replaces a file in it, and returns its path.
  @discardableResult
  package func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = path(name)
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw HoldfastError(errno: errno, "open", path) }
    defer { close(file) }
    try Bytes.replaceContents(of: file, with: bytes, path)
    return path
  }

  /// The content of a file in it; nil if there is no such file.
  package func read(_ name: String) throws -> [UInt8]? {
    try SystemFileOperations().contents(path(name))
  }
}

/// Removes a folder and everything in it, as far as possible: folders that a test made read-only
/// are made writable first.
func removeTree(_ path: String) {
  var status = stat()
  guard lstat(path, &status) == 0 else { return }
  guard status.st_mode & S_IFMT == S_IFDIR else {
    unlink(path)
    return
  }
  if status.st_mode & 0o700 != 0o700 { chmod(path, 0o700) }
  for name in (try? SystemFileOperations().list(path)) ?? [] { removeTree("\(path)/\(name)") }
  rmdir(path)
}
