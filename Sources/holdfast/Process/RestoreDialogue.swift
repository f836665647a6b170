import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// The common part of `restore` and `undo`: shows a plan, asks, and executes the plan.
struct RestoreDialogue {
  let options: ServiceOptions
  let dryRun: Bool
  let yes: Bool
  let question: String

  /// - Parameter plan: throws a `RestoreRefusal` where the restore is refused.
  func run(_ plan: (Selection, Engine) throws -> RestoreReport) throws {
    try refusing { selection, engine in try go(plan(selection, engine), engine) }
  }

  /// - Parameters:
  ///   - source: the engine of the repository that has the backup; nil for the engine's own.
  ///   - progress: the work before, which signals stop.
  func go(_ report: RestoreReport, _ engine: Engine, from source: Engine? = nil, after progress: Progress? = nil) throws
  {
    guard !dryRun else { return try options.console.show(report.json(nil), report.planLines) }
    if !options.output.quiet || !yes && !report.losesNothing { try options.console.show(report.planLines + [""]) }
    try Confirmation(console: options.console, given: yes || report.losesNothing).require(
      "\(report.consequence)\(question)", during: progress)
    let outcome = try options.output.working { progress, _ in
      try engine.restore(report.plan, from: source, progress: progress)
    }
    try options.console.show(
      report.json(outcome), options.output.quiet ? report.newWarnings(outcome) : report.resultLines(outcome))
  }

  /// Does `body`, and prints its refusals as a restore's.
  func refusing(_ body: (Selection, Engine) throws -> Void) throws {
    do {
      let selection = try options.selection()
      try body(selection, selection.engine(.needed, defaults: ArchiveOptions(selection.settings)))
    } catch let refusal as RestoreRefusal {
      try end(refusal.error)
    } catch let error as HoldfastError where error.code.exitCode == HoldfastError.Code.refused.exitCode {
      // It was not confirmed, or the staged image must not be installed.
      try end(error)
    }
  }

  /// With `--json` a refusal is a result, like a plan.
  private func end(_ refusal: HoldfastError) throws {
    guard options.console.json else { throw refusal }
    try options.console.show(RestoreReport.json(refusal), [])
    throw ExitCode(refusal.code.exitCode)
  }
}
