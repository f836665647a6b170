import BackupPolicy
import Names
import SQLitePages

/// The actions and the result of one drill. The repository's history stores it without the answers
/// of the assertions, because a user who can read the repository may not have the key.
package struct DrillRecord: Hashable, Sendable {
  /// The reason for the drill.
  package enum Trigger: String, Hashable, Sendable {
    case manual
    case scheduled
  }

  /// The restored backup: that very archive, and that very content.
  package struct Subject: Hashable, Sendable {
    package var id: PointID
    /// `full` or `incremental`.
    package var kind: BackupKind
    package var created: Timestamp
    /// See ``PointMetadata/digest``.
    package var digest: String?
    /// See ``PointMetadata/checksum``.
    package var checksum: String?
    /// The number of archives that were read.
    package var archives: Int
    /// Bytes of the database.
    package var size: Int64?
  }

  /// One assertion's answer.
  package struct Answer: Hashable, Sendable {
    /// The assertion's name or number.
    package var label: String
    /// Nil in the history.
    package var assertion: DrillAssertion?
    /// The result of the query; nil if it failed, and in the history.
    package var answer: String?
    /// The reason why the query failed, in SQLite's words.
    package var error: String?
    package var passed: Bool
  }

  /// The reason why the drill did not pass.
  package struct Failure: Hashable, Sendable {
    package var step: DrillStep
    package var code: HoldfastError.Code
    /// Lower case, without a full stop and without the answers of assertions.
    package var message: String
  }

  /// Its place in the history, from 1.
  package var number = 0
  package var started: Timestamp
  package var trigger: Trigger
  package var subject: Subject
  package var checks: [Check] = []
  package var answers: [Answer] = []
  /// Milliseconds from the first archive to a database that can be opened; nil if the restore did
  /// not get that far.
  package var restoreMS: Int64?
  /// Milliseconds of all checks and assertions.
  package var checkMS: Int64?
  package var failure: Failure?
  /// The machine that ran the drill.
  package var host: String?
  /// The version of SQLite, which ran the checks.
  package var sqliteVersion: String?
  package var holdfastVersion: String?
  /// Oddities that do not affect the result; not in the history.
  package var notes: [String] = []

  package var passed: Bool { failure == nil }
}

extension DrillRecord {
  init(_ point: StoredPoint, _ trigger: Trigger, at time: Timestamp) {
    let metadata = point.metadata
    self.init(
      started: time, trigger: trigger,
      subject: Subject(
        id: point.id, kind: metadata.kind, created: metadata.created, digest: metadata.digest,
        checksum: metadata.checksum, archives: 1, size: metadata.originalSize))
  }

  mutating func add(_ outcome: Check.Outcome, _ name: String, _ detail: String? = nil) {
    checks.append(Check(name: name, outcome: outcome, detail: detail))
  }
}

extension DrillRecord.Subject {
  /// Whether a backup is still the one that was restored. For a full: the same archive, byte for
  /// byte. For an incremental: the same content, because compaction may distribute it to other
  /// archives at any time (see ``PointChain/fingerprint``).
  package func isSame(as point: StoredPoint) -> Bool {
    let metadata = point.metadata
    guard id == metadata.id, digest == metadata.digest else { return false }
    if point.isIncremental, digest != nil { return true }
    return checksum != nil && checksum == metadata.checksum
  }
}

extension DrillRecord {
  /// As the history stores it.
  package var json: JSONValue { .object(keys(withAnswers: false)) }

  /// As `drill` prints it: with the assertions, their answers and the notes.
  package var fullJSON: JSONValue {
    var keys = keys(withAnswers: true)
    keys["notes"] = .array(notes.map { .string($0) })
    return .object(keys)
  }

  private func keys(withAnswers: Bool) -> JSONObject {
    [
      "version": .integer(1), "number": .optional(number), "drilled_at": .string(started.iso8601),
      "trigger": .string(trigger.rawValue), "passed": .bool(passed), "backup_id": .string(subject.id.text),
      "kind": .string(subject.kind.rawValue), "created_at": .string(subject.created.iso8601),
      "digest": .optional(subject.digest), "checksum": .optional(subject.checksum),
      "archives": .optional(subject.archives), "size": .optional(subject.size),
      "restore_ms": .optional(restoreMS), "check_ms": .optional(checkMS),
      "failure": failure?.json ?? .null, "checks": .array(checks.map(\.json)),
      "assertions": .array(answers.map { $0.json(withAnswer: withAnswers) }), "host": .optional(host),
      "sqlite_version": .optional(sqliteVersion), "holdfast_version": .optional(holdfastVersion),
    ]
  }
}

extension DrillRecord.Failure {
  fileprivate var json: JSONValue {
    .object(["step": .string(step.rawValue), "code": .string(code.rawValue), "message": .string(message)])
  }

  fileprivate init?(_ json: JSONValue?) {
    guard case .object(let keys)? = json, let step = keys.text("step").flatMap({ DrillStep(rawValue: $0) }),
      let code = keys.text("code"), let message = keys.text("message")
    else { return nil }
    self.init(step: step, code: HoldfastError.Code(rawValue: code) ?? .failed, message: message)
  }
}

extension DrillRecord.Answer {
  fileprivate func json(withAnswer: Bool) -> JSONValue {
    var keys: JSONObject = [
      "name": .string(label), "passed": .bool(passed), "error": .optional(error),
    ]
    if withAnswer, let assertion {
      keys["sql"] = .string(assertion.sql)
      keys["expect"] = .string(assertion.expect)
      keys["answer"] = .optional(answer)
    }
    return .object(keys)
  }

  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, let name = keys.text("name"), case .bool(let passed)? = keys["passed"] else {
      return nil
    }
    self.init(label: name, error: keys.text("error"), passed: passed)
  }
}

extension DrillRecord {
  /// Reads a record of the history; returns nil for anything else. Unknown keys are ignored, and
  /// optional keys may be missing.
  init?(_ json: JSONValue) {
    guard case .object(let keys) = json, let id = keys.text("backup_id").flatMap({ PointID($0) }),
      let started = keys.text("drilled_at").flatMap({ Timestamp(iso8601: $0) }),
      let number = keys.integer("number"), number > 0, case .bool(let passed)? = keys["passed"]
    else { return nil }
    let failure = Failure(keys["failure"])
    // A record that neither passed nor names a failure is useless.
    guard passed == (failure == nil) else { return nil }
    self.init(
      number: Int(number), started: started,
      trigger: keys.text("trigger").flatMap { Trigger(rawValue: $0) } ?? .manual,
      subject: Subject(
        id: id, kind: keys.text("kind").flatMap { BackupKind(rawValue: $0) } ?? .full,
        created: keys.text("created_at").flatMap { Timestamp(iso8601: $0) } ?? id.second,
        digest: keys.text("digest"), checksum: keys.text("checksum"), archives: Int(keys.integer("archives") ?? 1),
        size: keys.integer("size")),
      checks: keys.items("checks").compactMap { Check($0) },
      answers: keys.items("assertions").compactMap { Answer($0) },
      restoreMS: keys.integer("restore_ms"), checkMS: keys.integer("check_ms"), failure: failure,
      host: keys.text("host"), sqliteVersion: keys.text("sqlite_version"),
      holdfastVersion: keys.text("holdfast_version"))
  }
}

extension Check {
  /// As `verify` and `drill` print it.
  package var json: JSONValue {
    .object([
      "name": .string(name), "passed": .bool(outcome != .failed), "outcome": .string(outcome.rawValue),
      "detail": .optional(detail),
    ])
  }

  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, let name = keys.text("name"),
      let outcome = keys.text("outcome").flatMap({ Outcome(rawValue: $0) })
    else { return nil }
    self.init(name: name, outcome: outcome, detail: keys.text("detail"))
  }
}

/// The number of rows in a restored table, if it can be counted here.
enum RowCount {
  case rows(Int64)
  /// The extension that the table needs and only the application has, or the reason why SQLite
  /// cannot read the table.
  case skipped(String)

  /// - Throws: ``DatabaseError`` if the table exists and is damaged.
  init(of table: Identifier, on connection: DatabaseConnection) throws(DatabaseError) {
    let count: SQLText = "SELECT count(*) FROM main.\(table)"
    // SQLite counts by the smallest index; the table itself may need no extension.
    let withoutIndex: SQLText = "SELECT count(*) FROM main.\(table) NOT INDEXED"
    do {
      self = .rows(try connection.integer(count) ?? 0)
    } catch {
      guard let reason = Self.obstacle(error, connection) else { throw error }
      self = (try? connection.integer(withoutIndex)).flatMap { $0 }.map { .rows($0) } ?? .skipped(reason)
    }
  }

  private static func obstacle(_ error: DatabaseError, _ connection: DatabaseConnection) -> String? {
    switch error.kind {
    case .missingExtension: "needs \(error.missing)"
    case .other where connection.schemaProblem != nil, .corrupt where connection.schemaProblem != nil: error.reason
    default: nil
    }
  }
}
