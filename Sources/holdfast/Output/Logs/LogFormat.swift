import BackupPolicy
import Glibc
import Logging

/// The forms of log lines.
enum LogFormat: String, CaseIterable {
  /// The journal if standard error is connected to it, otherwise text.
  case auto
  case text
  case json
  case journald

  /// A handler for this form. Without a journal, the form `journald` is text on standard error.
  func handler() -> any LogHandler {
    switch self {
    case .text: TextLog()
    case .json: JSONLog()
    case .journald: JournalSocket.shared.map { JournalLog($0) } ?? TextLog()
    case .auto: JournalSocket.isStandardError ? LogFormat.journald.handler() : TextLog()
    }
  }
}

/// A log line before it is written in one of the forms.
struct LogLine {
  let level: Logger.Level
  /// The message without the prefix and the hint that ``facts`` repeat.
  let message: String
  /// All metadata, printable.
  let facts: [String: String]

  /// - Parameter metadata: that of the handler.
  init(_ event: LogEvent, _ metadata: Logger.Metadata) {
    level = event.level
    facts = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)".printable }
    var text = Substring(CallerOptions.applied(to: "\(event.message)".printable))
    if let database = facts["database"], text.hasPrefix("\(database): ") { text = text.dropFirst(database.count + 2) }
    if let hint = facts["hint"], text.hasSuffix(" (hint: \(hint))") { text = text.dropLast(hint.count + 9) }
    message = String(text)
  }
}
