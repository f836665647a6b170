extension String {
  /// The path without its last component: `.` for a bare name, `/` for the root.
  package var parentPath: String {
    guard let slash = utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    let parent = String(self[..<slash])
    return parent.isEmpty ? "/" : parent
  }

  /// What follows the last slash.
  package var lastComponent: String {
    guard let slash = utf8.lastIndex(of: UInt8(ascii: "/")) else { return self }
    return String(self[utf8.index(after: slash)...])
  }
}
