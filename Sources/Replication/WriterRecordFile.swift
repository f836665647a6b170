import BackupEngine
import BackupPolicy

/// The JSON of a writer record: who writes from here on. Other writers and readers find it under
/// ``WriterName``.
///
/// | key | is |
/// |---|---|
/// | `version` | 1 |
/// | `repository_id`, `epoch`, `nonce` | as in the name; the nonce is 16 hexadecimal digits |
/// | `base_sequence` | the newest number that the writer knew |
/// | `why` | `start`, or `take_over` |
/// | `host`, `pid`, `agent_version`, `started_at` | for people |
/// | `marks` | see ``RecordSeal``: `key`, `password`, `password_salt`, `password_iterations` |
package struct WriterRecordFile: Hashable, Sendable {
  package var record: WriterRecord
  package var repositoryID: String
  package var nonce: UInt64
  package var process: Int64
  package var agentVersion: String

  package static let info = "holdfast writer record v1"

  package init(_ record: WriterRecord, repositoryID: String, nonce: UInt64, process: Int64, agentVersion: String) {
    (self.record, self.repositoryID, self.nonce) = (record, repositoryID, nonce)
    (self.process, self.agentVersion) = (process, agentVersion)
  }

  /// The text that the marks authenticate.
  private var body: JSONObject {
    [
      "version": .integer(1), "repository_id": .string(repositoryID), "epoch": .integer(Int64(record.epoch)),
      "nonce": .string(Digits.hexadecimal(nonce)), "base_sequence": .integer(record.baseSequence),
      "why": .string(record.reason.rawValue), "host": .string(record.host), "pid": .integer(process),
      "agent_version": .string(agentVersion), "started_at": .string(record.started.iso8601),
    ]
  }

  /// - Parameter mark: makes the marks of a text.
  package func encoded(mark: ([UInt8]) throws -> RecordSeal.Marks) rethrows -> [UInt8] {
    var keys = body
    keys["marks"] = try mark(JSONValue.object(body).encoded()).json
    return JSONValue.object(keys).encoded()
  }

  /// Reads a record.
  ///
  /// - Parameter name: the name under which it was found. A record under another name does not count.
  /// - Returns: nil if it is not a record of this repository.
  package init?(_ bytes: [UInt8], named name: WriterName, repositoryID: String, seal: RecordSeal) throws {
    guard case .object(var keys)? = JSONValue(parsing: bytes) else { return nil }
    let marks = keys["marks"].flatMap { RecordSeal.Marks($0) } ?? RecordSeal.Marks()
    keys.removeValue(forKey: "marks")
    guard keys["version"] == .integer(1), keys["repository_id"] == .string(repositoryID),
      keys["epoch"] == .integer(Int64(name.epoch)), case .string(let nonceText)? = keys["nonce"],
      let nonce = Digits.hexadecimal(nonceText.utf8), name.nonce == nil || name.nonce == nonce,
      case .integer(let base)? = keys["base_sequence"], case .string(let why)? = keys["why"],
      let reason = WriterRecord.Reason(rawValue: why), case .string(let host)? = keys["host"],
      case .integer(let process)? = keys["pid"], case .string(let version)? = keys["agent_version"],
      case .string(let time)? = keys["started_at"], let started = Timestamp(iso8601: time)
    else { return nil }
    let isAuthentic = try seal.holds(marks, for: JSONValue.object(keys).encoded())
    self.init(
      WriterRecord(
        name, baseSequence: base, reason: reason, host: host, started: started, isAuthentic: isAuthentic),
      repositoryID: repositoryID, nonce: nonce, process: process, agentVersion: version)
  }
}

extension WriterRecordFile {
  /// Returns a reader of the records of a repository; nil if the ID does not have its form.
  package static func reader(_ credentials: Credentials, repositoryID: String) -> WriterRecordReader? {
    RecordSeal(credentials, repositoryID: repositoryID, info: info).map { seal in
      { name, bytes in try WriterRecordFile(bytes, named: name, repositoryID: repositoryID, seal: seal)?.record }
    }
  }
}

extension RecordSeal.Marks {
  fileprivate var json: JSONValue {
    .object([
      "key": .optional(key?.hex), "password": .optional(password?.hex), "password_salt": .optional(salt?.hex),
      "password_iterations": .optional(iterations),
    ])
  }

  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json else { return nil }
    func bytes(_ key: String) -> [UInt8]? {
      if case .string(let text)? = keys[key] { [UInt8](hex: text) } else { nil }
    }
    self.init()
    (key, password, salt) = (bytes("key"), bytes("password"), bytes("password_salt"))
    if case .integer(let count)? = keys["password_iterations"] { iterations = UInt32(exactly: count) }
  }
}

/// The first 8 bytes of a digest or of random bytes.
func leadingNumber(of bytes: [UInt8]) -> UInt64 { bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }
