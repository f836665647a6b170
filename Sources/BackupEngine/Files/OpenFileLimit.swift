import BackupPolicy
import Glibc
import SQLitePages

/// The number of files that this process may have open at once (`RLIMIT_NOFILE`).
package enum OpenFileLimit {
  /// The soft limit, which is in effect; `Int.max` if there is no limit.
  package static var current: Int { value.map { Int(clamping: $0.rlim_cur) } ?? .max }
  /// The hard limit, up to which a process may raise its own.
  package static var highest: Int { value.map { Int(clamping: $0.rlim_max) } ?? .max }

  /// Raises the soft limit to `count`, or as near to it as the hard limit allows; never lowers it.
  ///
  /// - Returns: the limit that is in effect from now on.
  @discardableResult
  package static func raise(to count: Int = .max) -> Int {
    guard var limit = value else { return current }
    let wanted = min(limit.rlim_max, max(limit.rlim_cur, rlim_t(clamping: count)))
    guard wanted > limit.rlim_cur else { return current }
    limit.rlim_cur = wanted
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return current
  }

  private static var value: rlimit? { value(of: RLIMIT_NOFILE) }

  private static func value(of resource: __rlimit_resource) -> rlimit? {
    var limit = rlimit()
    return getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 ? limit : nil
  }

  /// The largest permitted file size of this process in bytes (`RLIMIT_FSIZE`); nil if there is no
  /// limit.
  static var fileSize: Int64? { value(of: RLIMIT_FSIZE).flatMap { Int64(exactly: $0.rlim_cur) } }
}

extension ProcessFacts {
  /// This process.
  static var current: ProcessFacts {
    var groups = [gid_t](repeating: 0, count: Int(max(0, getgroups(0, nil))))
    let count = getgroups(Int32(groups.count), &groups)
    return ProcessFacts(
      user: geteuid(), group: getegid(), groups: Set(groups.prefix(Int(max(0, count)))), mask: mask)
  }

  /// The umask. `umask()` can read it only by changing it, which would affect other threads;
  /// without `/proc` the strictest one is assumed.
  private static var mask: UInt32 {
    guard let text = ProcFile.text("/proc/self/status", limit: 1024) else { return 0o077 }
    let line = text.split(separator: "\n").first { $0.hasPrefix("Umask:") }
    return line?.split(whereSeparator: \.isWhitespace).last.flatMap { UInt32($0, radix: 8) } ?? 0o077
  }
}
