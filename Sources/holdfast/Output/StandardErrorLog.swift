import BackupEngine
import BackupPolicy
import Logging
import Names

/// Log lines on standard error: `2026-11-22T14:03:05Z info: message key=value`.
struct StandardErrorLog: LogHandler {
  var logLevel = Logger.Level.warning
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let pairs = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
      .map { " \($0)=\(Self.quoted("\($1)".printable))" }
    // Whole seconds: `…05.123Z` loses its fraction.
    let time = SystemClock.now().iso8601.prefix(19)
    let message = CallerOptions.applied(to: "\(event.message)".printable)
    LogOutput.standardError.write("\(time)Z \(event.level): \(message)\(pairs.joined())")
  }

  private static func quoted(_ value: String) -> String {
    value.isEmpty || value.contains(where: { " \"=".contains($0) })
      ? "\"\(value.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\""))\"" : value
  }
}
