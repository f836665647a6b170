import BackupEngine
import BackupPolicy

/// Where a path leads that somebody wrote somewhere.
///
/// In a file, paths are relative to the file's folder and `~/` is the home folder; on the command line and in the environment
/// they are relative to the working directory, and the shell has dealt with `~` (or has not, which is an error: nobody wants a
/// folder of that name).
struct PathResolution {
  let folders: StandardFolders

  /// - Throws: `usage` for a `~` that cannot be followed.
  func path(_ text: String, _ origin: Origin) throws -> String {
    if text == "~" || text.hasPrefix("~/") { return try inHome(text, origin) }
    if text.hasPrefix("~"), origin.file != nil {
      throw problem(text, origin, "only ~/ is replaced here", hint: "write the whole path")
    }
    guard let file = origin.file, !text.hasPrefix("/"), file.parentPath != "." else { return text }
    return file.parentPath == "/" ? "/\(text)" : "\(file.parentPath)/\(text)"
  }

  private func inHome(_ text: String, _ origin: Origin) throws -> String {
    guard origin.file != nil else {
      throw problem(
        text, origin, "~ is replaced by the shell, and was not",
        hint: origin.isFlag
          ? "put a space before it instead of =, or write ./\(text) if that is its name" : "write the whole path")
    }
    guard let home = folders.home else {
      throw problem(text, origin, "there is no home folder", hint: "set HOME, or write the whole path")
    }
    return home + text.dropFirst()
  }

  private func problem(_ text: String, _ origin: Origin, _ why: String, hint: String) -> HoldfastError {
    ConfigurationProblem(at: origin, "is \"\(text.shortened)\", and \(why)", hint: hint).error
  }
}
