import BackupPolicy
import Glibc

/// Where files go that nobody named a place for: the XDG base directories.
package struct StandardFolders: Sendable {
  /// The value of an environment variable; nil for one that is empty or not set.
  package let variable: @Sendable (String) -> String?

  package init(variable: @escaping @Sendable (String) -> String?) {
    self.variable = variable
  }

  /// By this process's environment.
  static var ofThisProcess: StandardFolders {
    StandardFolders { name in getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } }
  }

  /// What this host remembers of its repositories.
  ///
  /// - Throws: `usage` where not even a home folder is known.
  package func state() throws -> String {
    // systemd lists several state directories with colons between them.
    if let folder = variable("STATE_DIRECTORY")?.split(separator: ":").first {
      guard folder.first != "\"", folder.first != "'" else {
        throw HoldfastError(
          .usage, "STATE_DIRECTORY begins with a quotation mark, which is part of the value here",
          hint: "take the quotes out: docker's --env-file keeps them")
      }
      return String(folder)
    }
    if let folder = absolute("XDG_STATE_HOME") { return "\(folder)/holdfast" }
    if let home { return "\(home)/.local/state/holdfast" }
    throw HoldfastError(.usage, "there is no home folder to keep state in", hint: "set HOME or XDG_STATE_HOME")
  }

  /// The key file that `init` makes and that the other commands use where it exists.
  package var keyFile: String? { configurationFolder.map { "\($0)/key" } }

  /// `$XDG_CONFIG_HOME/holdfast`.
  package var configurationFolder: String? {
    if let folder = absolute("XDG_CONFIG_HOME") { return "\(folder)/holdfast" }
    return home.map { "\($0)/.config/holdfast" }
  }

  /// `HOME`, or what the system's list of users says.
  package var home: String? {
    if let home = absolute("HOME") { return home }
    guard let entry = getpwuid(geteuid()), let folder = entry.pointee.pw_dir else { return nil }
    let path = String(cString: folder)
    return path.hasPrefix("/") ? path : nil
  }

  /// The XDG specification has relative paths ignored.
  private func absolute(_ name: String) -> String? {
    variable(name).flatMap { $0.hasPrefix("/") ? $0 : nil }
  }
}
