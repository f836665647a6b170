import BackupEngine
import BackupPolicy
import Names
import Wording

/// A command after a backup and, if it fails, before a rollback.
struct Guarding {
  let engine: Engine
  let relay: SignalRelay
  let command: GuardedCommand
  let point: PointMetadata
  let keeping: GuardKeeping
  let rollsBack: Bool
  let restore: RestoreCommandLine
  /// The zone in which times are shown.
  let zone: ZoneRules
  let output: GuardOutput

  /// The exit status if the rollback failed: `timeout` and others report their own failures with
  /// it.
  private static let rollbackFailed: Int32 = 125

  /// - Returns: the exit status.
  /// - Throws: ``GuardedCommand/Unusable`` and `interrupted` if the command was not started.
  func run() throws -> Int32 {
    var result = GuardResult(point: point, program: command.name, restore: restore)
    // If the report cannot be written, this is reported before the command does its work, not
    // after.
    try output.report(result)
    output.say(["Stored \(point.id), verified; \(pinInWords)"])
    output.tell(FlawWarning.lines(point.id, point.findings))
    let terminal = TerminalModes()
    let process = try relay.starting { try command.start(mask: relay.originalMask) }
    let ending = try CommandEnding.wait(for: process) { relay.stops(Progress()) }
    result.ending = ending
    if case .killed = ending { terminal?.restore() }
    if !ending.succeeded { result.rollback = rollBack(after: ending) }
    output.finish(result)
    if case .failed? = result.rollback { return Self.rollbackFailed }
    return ending.status
  }

  private var pinInWords: String {
    switch keeping {
    case .pinned: return "it is pinned until holdfast unpin \(point.id)"
    case .seconds(let seconds):
      return "it is pinned until \(zone.stamp(point.created.adding(seconds: seconds)))"
    case .asSafetyBackup: return "it is kept as long as a safety backup"
    }
  }

  private func rollBack(after ending: CommandEnding) -> GuardResult.Rollback? {
    output.tell(["holdfast: \(command.name.printable) \(ending.words)"])
    guard rollsBack else {
      tellHowToRestore("this restores the previous content of the database")
      return nil
    }
    do {
      return try rollBack()
    } catch {
      let error = GuardResult.error(error)
      output.tell([ErrorText.failureLine("the rollback failed: \(error.message.printable)")])
      if let hint = error.hint { output.tell(["holdfast: hint: \(hint.printable)"]) }
      tellHowToRestore("to try it again")
      return .failed(error)
    }
  }

  /// - Parameter purpose: of the command that restores the backup, if that is still listed.
  private func tellHowToRestore(_ purpose: String) {
    do {
      _ = try engine.keepingOpen().point(point.id.text)
    } catch let error as HoldfastError where error.code == .pointNotFound {
      return output.tell(["holdfast: hint: \(error.message.printable); holdfast list shows the existing backups"])
    } catch {
      // The backup may be there although it cannot be read now.
    }
    output.tell(["holdfast: hint: \(purpose):", "  \(restore.text)"])
  }

  private func rollBack() throws -> GuardResult.Rollback {
    // The command may have run for hours and changed anything, so the repository is opened anew:
    // that checks whether it is still the one that this host knows, and has no planted links.
    let engine = engine.keepingOpen()
    let request = RestoreRequest(pointID: point.id, target: .database(path: try engine.requireDatabase()))
    let plan =
      switch try engine.planRestore(request) {
      case .plan(let plan): plan
      case .refuse(let refusal): throw refusal
      }
    let chosen = ChosenPoint(point: try engine.point(point.id.text), choice: nil, zone: zone)
    let report = RestoreReport(chosen: chosen, plan: plan)
    output.say(report.planLines + [""])
    let outcome = try output.options.working(listen: relay.stops) { progress, _ in
      try engine.restore(plan, progress: progress)
    }
    output.say(report.resultLines(outcome))
    output.say(["  holdfast undo reverts this"])
    return .done(report.json(outcome))
  }
}

/// The result of a guarded command.
struct GuardResult {
  let point: PointMetadata
  let program: String
  let restore: RestoreCommandLine
  /// Nil while it runs.
  var ending: CommandEnding?
  /// Nil if no rollback was requested or needed.
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

/// The output of `guard`, on standard error: standard output belongs to the command.
struct GuardOutput {
  let options: OutputOptions
  /// `--report`
  let report: String?

  /// Information.
  func say(_ lines: [String]) {
    if !options.quiet, !options.json { Console.tell(lines) }
  }

  /// Failures.
  func tell(_ lines: [String]) {
    if !options.json { Console.tell(lines) }
  }

  func report(_ result: GuardResult) throws {
    guard let report else { return }
    do {
      try SystemFileOperations().replace(report, with: result.json.encoded())
    } catch let error as HoldfastError {
      throw HoldfastError(
        error.code, "the command was not started, because its report cannot be written: \(error.message)",
        hint: error.hint ?? "use another path with --report")
    }
  }

  /// The final report. The command has run, so a report that cannot be written is only a warning.
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
