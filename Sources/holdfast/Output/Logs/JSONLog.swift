import BackupEngine
import BackupPolicy
import Logging

/// Log lines for programs, on standard error: one JSON object on each line, with `time`, `level` and
/// `message`, and the facts of the event.
struct JSONLog: LogHandler {
  var logLevel = Logger.Level.warning
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let bytes = Self.object(LogLine(event, metadata), at: SystemClock.now()).encodedLine()
    LogOutput.standardError.write(String(decoding: bytes.dropLast(), as: UTF8.self))
  }

  /// Facts never replace one of the three fields that each line has.
  static func object(_ line: LogLine, at time: Timestamp) -> JSONValue {
    var fields = JSONObject(line.facts.mapValues { JSONValue.string($0) })
    fields["time"] = .string(time.iso8601)
    fields["level"] = .string(line.level.rawValue)
    fields["message"] = .string(line.message)
    return .object(fields)
  }
}
