import BackupEngine
import BackupPolicy
import Glibc

/// The process that writes to a target, as the lock of the target's memo names it to others.
struct TargetHolder: Error, Hashable {
  private var process: Int64?
  private var isAgent: Bool

  /// This process.
  init(isAgent: Bool) { (process, self.isAgent) = (Int64(getpid()), isAgent) }

  /// Reads the content of the lock file; it may be torn, or of an earlier version.
  init(_ bytes: [UInt8]?) {
    let words = String(decoding: bytes ?? [], as: UTF8.self).split(whereSeparator: \.isWhitespace)
    isAgent = words.first == "agent"
    process = words.count == 2 ? Int64(words[1]) : nil
  }

  /// Always of one length, so that no text of an earlier holder remains.
  func sign(_ lock: OpenFile, _ files: any FileOperations) throws {
    let text = "\(isAgent ? "agent" : "command") \(process ?? 0)"
    let padding = String(repeating: " ", count: max(0, Self.length - 1 - text.utf8.count))
    try Array("\(text)\(padding)\n".utf8).withUnsafeBytes { try files.write(lock, $0, at: 0) }
  }

  private static let length = 64

  /// - Parameter target: its name.
  func error(_ target: String) -> HoldfastError {
    guard isAgent, let process else {
      let words = process.map { " (process \($0))" } ?? ""
      return HoldfastError(
        .busy, "another holdfast\(words) is writing to the target \(target)",
        hint: "wait until it has finished, then try again", cause: self)
    }
    return HoldfastError(
      .busy, "the agent (process \(process)) copies to the target \(target), and only one process may",
      hint: "holdfast sync \(target) lets it do so now; for anything else stop it first: kill \(process)", cause: self)
  }
}
