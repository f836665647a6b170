import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast undo`
struct Undo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Take the last restore back.",
    discussion: """
      It restores the safety backup that the last restore (or rollback of holdfast guard) made. The current \
      content is backed up first, so a second undo takes the first one back. If there is nothing to undo, the exit \
      code is 8.

      Examples:
        holdfast undo --dry-run
        holdfast undo
      """)

  @Flag(help: "Show the plan, and do nothing.")
  var dryRun = false

  @Flag(help: "Do not ask.")
  var yes = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try RestoreDialogue(options: options, dryRun: dryRun, yes: yes, question: "Undo?").run { selection, engine in
      let (decision, undoes) = try engine.planUndoing(progress: Progress())
      switch decision {
      case .plan(let plan):
        let point = try engine.point(plan.pointID.text)
        let chosen = ChosenPoint(point: point, choice: nil, zone: selection.zone)
        return RestoreReport(chosen: chosen, plan: plan, undoes: undoes)
      case .refuse(let refusal): throw refusal
      }
    }
  }
}
