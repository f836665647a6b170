import BackupEngine
import BackupPolicy

/// An event as `follow` prints it.
package struct EventLine {
  package let text: String

  /// - Parameters:
  ///   - event: as the agent sends it.
  ///   - zone: in which times are shown.
  package init(_ event: JSONObject, zone: ZoneRules) {
    func text(_ key: String) -> String { event.text(key) ?? "" }
    let what =
      switch text("event") {
      case "following": "following"
      case "stored":
        "stored \(text("backup_id")), \(ByteCount(event.integer("bytes") ?? 0))"
          + (event.integer("duration_ms").map { " in \($0) ms" } ?? "")
      case "decision": "\(text("kind")): \(text("reason"))"
      case "alarm": "! alarm: \(text("message"))" + (text("hint").isEmpty ? "" : " (hint: \(text("hint")))")
      case "alarm_over": "alarm over: \(text("message"))"
      default: text("event")
      }
    let time = event.time("time").map(zone.wallClock) ?? ""
    self.text = [time, text("database"), what].filter { !$0.isEmpty }.joined(separator: "  ")
  }
}
