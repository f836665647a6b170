import CShims

/// What identifies a file on this host as long as it exists, under any name: its inode and the time
/// at which it was created. An inode alone is given to a new file at once.
///
/// The device is left out, because its number may change when the machine starts.
struct FileBirth: Hashable, Sendable {
  private let inode: UInt64
  /// Nanoseconds since the epoch.
  private let born: Int64

  /// Nil if there is no such file, or if its file system keeps no time of creation.
  init?(path: String) {
    var (inode, born): (UInt64, Int64) = (0, 0)
    guard cshims_birth(path, &inode, &born) == 0, born != 0 else { return nil }
    (self.inode, self.born) = (inode, born)
  }

  /// `INODE BORN`, as this host's state keeps it.
  var text: String { "\(inode) \(born)" }

  init?(text: String) {
    let parts = text.split(separator: " ")
    guard parts.count == 2, let inode = UInt64(parts[0]), let born = Int64(parts[1]) else { return nil }
    (self.inode, self.born) = (inode, born)
  }
}
