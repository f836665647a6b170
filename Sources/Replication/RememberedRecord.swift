import BackupEngine
import BackupPolicy

/// An authentic writer record that this host has read, as its memo of a target has it.
struct RememberedRecord: Hashable {
  var record: WriterRecord
  /// The time of its writing, by the store's clock, milliseconds since the epoch. On another disk at the
  /// same path, a record of the same name has another time.
  var written: Int64

  init(_ record: WriterRecord, written: Int64) { (self.record, self.written) = (record, written) }

  var json: JSONObject {
    [
      "record": .string(record.name.text), "base": .integer(record.baseSequence),
      "why": .string(record.reason.rawValue),
      "host": .string(record.host), "started": .integer(record.started.milliseconds),
      "written": .integer(written),
    ]
  }

  /// Returns nil for anything else than ``json``.
  init?(_ keys: JSONObject) {
    guard case .string(let text)? = keys["record"], let name = WriterName(text),
      case .integer(let base)? = keys["base"],
      case .string(let why)? = keys["why"], let reason = WriterRecord.Reason(rawValue: why),
      case .string(let host)? = keys["host"], case .integer(let started)? = keys["started"],
      case .integer(let written)? = keys["written"]
    else { return nil }
    self.written = written
    record = WriterRecord(
      name, baseSequence: base, reason: reason, host: host, started: Timestamp(milliseconds: started))
  }
}
