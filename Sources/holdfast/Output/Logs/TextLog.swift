import BackupAgent
import BackupEngine
import BackupPolicy
import Logging

/// Log lines for people, on standard error: `2026-11-22T14:03:05Z info: message key=value`.
struct TextLog: LogHandler {
  var logLevel = Logger.Level.warning
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let message = CallerOptions.applied(to: "\(event.message)".printable)
    let pairs = metadata.merging(event.metadata ?? [:]) { $1 }
      .filter { Self.isNews($0.key, "\($0.value)", in: message) }.sorted { $0.key < $1.key }
      .map { " \($0)=\(Self.quoted("\($1)".printable))" }
    // Whole seconds: `…05.123Z` loses its fraction.
    let time = SystemClock.now().iso8601.prefix(19)
    LogOutput.standardError.write("\(time)Z \(event.level): \(message)\(pairs.joined())")
  }

  /// Whether a pair says more than the message.
  private static func isNews(_ key: String, _ value: String, in message: String) -> Bool {
    if key == "hint" { return !message.hasSuffix("(hint: \(CallerOptions.applied(to: value.printable)))") }
    return !Logger.Metadata.namesOfFacts.contains(key)
  }

  private static func quoted(_ value: String) -> String {
    value.isEmpty || value.contains(where: { " \"=".contains($0) })
      ? "\"\(value.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\""))\"" : value
  }
}
