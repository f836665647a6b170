import BackupPolicy
import Glibc

/// Where files go that nobody named a place for: the XDG base directories.
struct StandardFolders {
  let environment: ProcessEnvironment

  /// What this host remembers of its repositories.
  ///
  /// - Throws: `usage` where not even a home folder is known.
  func state() throws -> String {
    // systemd lists several state directories with colons between them.
    if let folder = environment[.stateDirectory]?.split(separator: ":").first { return String(folder) }
    if let folder = absolute(.stateHome) { return "\(folder)/holdfast" }
    if let home { return "\(home)/.local/state/holdfast" }
    throw HoldfastError(.usage, "there is no home folder to keep state in", hint: "set HOME or XDG_STATE_HOME")
  }

  /// The key file that `init` makes and that the other commands use where it exists.
  var keyFile: String? { configurationFolder.map { "\($0)/key" } }

  /// `$XDG_CONFIG_HOME/holdfast`.
  var configurationFolder: String? {
    if let folder = absolute(.configHome) { return "\(folder)/holdfast" }
    return home.map { "\($0)/.config/holdfast" }
  }

  var home: String? {
    if let home = absolute(.home) { return home }
    guard let entry = getpwuid(geteuid()), let folder = entry.pointee.pw_dir else { return nil }
    let path = String(cString: folder)
    return path.hasPrefix("/") ? path : nil
  }

  /// The XDG specification has relative paths ignored.
  private func absolute(_ variable: ProcessEnvironment.Variable) -> String? {
    environment[variable].flatMap { $0.hasPrefix("/") ? $0 : nil }
  }
}
