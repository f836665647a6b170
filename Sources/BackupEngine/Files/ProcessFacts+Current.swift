import BackupPolicy
import Glibc

extension ProcessFacts {
  /// This process.
  static var current: ProcessFacts {
    var groups = [gid_t](repeating: 0, count: Int(max(0, getgroups(0, nil))))
    let count = getgroups(Int32(groups.count), &groups)
    return ProcessFacts(
      user: geteuid(), group: getegid(), groups: Set(groups.prefix(Int(max(0, count)))), mask: mask)
  }

  /// The umask. `umask()` can only be asked by changing it, which other threads would notice; without `/proc` it is the strict
  /// one.
  private static var mask: UInt32 {
    guard let stream = fopen("/proc/self/status", "re") else { return 0o077 }
    defer { fclose(stream) }
    var buffer = [UInt8](repeating: 0, count: 1024)
    let count = fread(&buffer, 1, buffer.count, stream)
    let text = String(decoding: buffer.prefix(count), as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix("Umask:") }
    return line?.split(whereSeparator: \.isWhitespace).last.flatMap { UInt32($0, radix: 8) } ?? 0o077
  }
}
