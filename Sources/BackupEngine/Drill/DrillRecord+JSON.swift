import BackupPolicy

extension DrillRecord {
  /// As the history keeps it.
  package var json: JSONValue { .object(keys(withAnswers: false)) }

  /// As `drill` prints it: with the assertions and their answers, and what is odd.
  package var fullJSON: JSONValue {
    var keys = keys(withAnswers: true)
    keys["notes"] = .array(notes.map { .string($0) })
    return .object(keys)
  }

  private func keys(withAnswers: Bool) -> JSONObject {
    [
      "version": .integer(1), "number": .optional(number), "drilled_at": .string(started.iso8601),
      "trigger": .string(trigger.rawValue), "passed": .bool(passed), "backup_id": .string(subject.id.text),
      "kind": .string(subject.kind), "created_at": .string(subject.created.iso8601),
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
  /// Reads what the history keeps; nil for anything else. Keys that are not known, and those that need not be there, are passed
  /// over.
  init?(_ json: JSONValue) {
    guard case .object(let keys) = json, let id = keys.text("backup_id").flatMap({ PointID($0) }),
      let started = keys.text("drilled_at").flatMap({ Timestamp(iso8601: $0) }),
      let number = keys.integer("number"), number > 0, case .bool(let passed)? = keys["passed"]
    else { return nil }
    let failure = Failure(keys["failure"])
    // One that neither passed nor says what failed tells nothing.
    guard passed == (failure == nil) else { return nil }
    self.init(
      number: Int(number), started: started,
      trigger: keys.text("trigger").flatMap { Trigger(rawValue: $0) } ?? .manual,
      subject: Subject(
        id: id, kind: keys.text("kind") ?? "full",
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

extension JSONObject {
  fileprivate func text(_ key: String) -> String? {
    if case .string(let text)? = self[key] { text } else { nil }
  }

  fileprivate func integer(_ key: String) -> Int64? {
    if case .integer(let value)? = self[key] { value } else { nil }
  }

  fileprivate func items(_ key: String) -> [JSONValue] {
    if case .array(let items)? = self[key] { items } else { [] }
  }
}
