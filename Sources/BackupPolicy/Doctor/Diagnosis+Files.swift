extension Diagnosis {
  /// Left by a root that ran an older version, or by another user's run.
  static func lockedFiles(_ facts: ExaminationFacts) -> Finding? {
    guard let locked = facts.lockedFiles else { return nil }
    let folder = facts.repository
    let others = locked.count == 1 ? "" : ", and so do \(locked.count - 1) more"
    return Finding(
      "files", .problem,
      "\(locked.path) belongs to user \(locked.owner)\(others), and user \(folder.owner), who owns the folder, cannot read it",
      advice: "chown -R --reference=\(folder.path.shellQuoted) \(folder.path.shellQuoted)")
  }
}

extension String {
  /// One word for a shell.
  fileprivate var shellQuoted: String {
    let plain =
      !isEmpty
      && utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
          || "/._-+,:@".utf8.contains(byte)
      }
    return plain ? self : "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
