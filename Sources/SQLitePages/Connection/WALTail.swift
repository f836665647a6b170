import Glibc
import Names

/// The end of a write-ahead log, read without SQLite. SQLite takes no locks on that file, so a
/// descriptor of our own is safe.
enum WALTail {
  /// Nanoseconds. A program that is in a transaction and has written nothing for longer is assumed
  /// to have crashed.
  private static let window: Int64 = 600_000_000_000

  static func isRecent(_ facts: FileFacts) -> Bool { abs(FileClock.now() - facts.modified) < window }

  /// Whether the log ends in frames that no commit follows, the last of them written a short time ago.
  static func isInTransaction(_ path: String) -> Bool {
    guard let facts = FileFacts(path: path), facts.isRegular, isRecent(facts) else {
      return false
    }
    let file = open(path.raw, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { return false }
    defer { close(file) }
    func words(at offset: Int64, count: Int) -> [UInt32]? {
      var words = [UInt32](repeating: 0, count: count)
      let size = words.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, off_t(offset)) }
      return size == count * 4 ? words.map(UInt32.init(bigEndian:)) : nil
    }
    // Magic number, version, page size, checkpoints, two salts; a frame's page, size at a commit, two salts.
    guard let header = words(at: 0, count: 6), header[2] >= 512, header[2] <= 65536 else { return false }
    var (offset, isOpen) = (Int64(32), false)
    while let frame = words(at: offset, count: 4), frame[2...] == header[4...] {
      isOpen = frame[1] == 0
      offset += 24 + Int64(header[2])
    }
    return isOpen
  }
}
