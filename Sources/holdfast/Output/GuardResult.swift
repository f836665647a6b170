import BackupEngine
import BackupPolicy

/// What became of a guarded command.
struct GuardResult {
  let point: PointMetadata
  let program: String
  let restore: RestoreCommandLine
  /// Nil as long as it runs.
  var ending: CommandEnding?
  /// Nil where none was asked for or needed.
  var rollback: Rollback?

  enum Rollback {
    case done(JSONValue)
    case failed(HoldfastError)
  }

  var json: JSONValue {
    var keys: JSONObject = [
      "backup_id": .string(point.id.text), "program": .string(program), "restore_command": .string(restore.text),
      "exit_status": .optional(ending?.status), "signal": .null, "rollback": .null,
    ]
    if case .killed(let signal)? = ending { keys["signal"] = .string(CommandEnding.name(signal)) }
    switch rollback {
    case .done(let document): keys["rollback"] = document
    case .failed(let error): keys["rollback"] = .object(["error": ErrorReport.json(error)])
    case nil: break
    }
    return .object(keys)
  }

  static func error(_ error: any Error) -> HoldfastError {
    switch error {
    case let error as HoldfastError: error
    case let refusal as RestoreRefusal: refusal.error
    default: HoldfastError(.failed, "\(error)", cause: error)
    }
  }
}

/// Where `guard` says things: standard output belongs to the command.
struct GuardOutput {
  let options: OutputOptions
  /// `--report`
  let report: String?

  /// What is good to know.
  func say(_ lines: [String]) {
    if !options.quiet, !options.json { Console.tell(lines) }
  }

  /// What went wrong.
  func tell(_ lines: [String]) {
    if !options.json { Console.tell(lines) }
  }

  func report(_ result: GuardResult) throws {
    guard let report else { return }
    do {
      try SystemFileOperations().replace(report, with: result.json.encoded())
    } catch let error as HoldfastError {
      throw HoldfastError(
        error.code, "the command was not started, for its report cannot be written: \(error.message)",
        hint: error.hint ?? "give --report another path")
    }
  }

  /// The last word. The command has run, so a report that is lost is only told.
  func finish(_ result: GuardResult) {
    do {
      if let report { try SystemFileOperations().replace(report, with: result.json.encoded()) }
    } catch {
      Console.tell([
        "holdfast: warning: the report was not written: \((error as? HoldfastError)?.message ?? "\(error)")"
      ])
    }
    if options.json { try? Console.write(result.json.encoded(), to: 2) }
  }
}
