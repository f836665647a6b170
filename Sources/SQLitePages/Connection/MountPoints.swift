/// The mount points that this process sees, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
enum MountPoints {
  /// Whether something is mounted at the path. False if the kernel does not show its mounts.
  ///
  /// - Parameter path: absolute, links resolved.
  static func include(_ path: String) -> Bool {
    // A host with many containers has some hundred kilobytes of mounts.
    guard let text = ProcFile.text("/proc/self/mountinfo", limit: 4 << 20) else { return false }
    let wanted = escaped(path)
    return text.split(separator: "\n").contains { line in
      line.split(separator: " ", maxSplits: 5).dropFirst(4).first.map { String($0).isExactly(wanted) } ?? false
    }
  }

  /// The kernel writes space, tab, line feed and backslash as octal numbers.
  private static func escaped(_ path: String) -> String {
    var text = ""
    for character in path.unicodeScalars {
      switch character {
      case " ": text += "\\040"
      case "\t": text += "\\011"
      case "\n": text += "\\012"
      case "\\": text += "\\134"
      default: text.unicodeScalars.append(character)
      }
    }
    return text
  }
}
