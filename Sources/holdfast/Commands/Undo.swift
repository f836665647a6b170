import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast undo`
struct Undo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Bring back what the database held before the last restore.",
    discussion: """
      The safety backup that the last restore made goes back into the database, by a plan like that of any restore. What the \
      database holds now is backed up first, so a second undo undoes the first. A rollback by holdfast guard counts as a \
      restore. Where there is nothing to undo it exits with 8, where the safety backup is gone with 4.
      """)

  @Flag(help: "Show the plan and do nothing.")
  var dryRun = false

  @Flag(help: "Go on without asking.")
  var yes = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try RestoreDialogue(options: options, dryRun: dryRun, yes: yes, question: "Undo?").run { selection, service in
      let (decision, undoes) = try service.planUndoing(progress: Progress())
      switch decision {
      case .plan(let plan):
        let point = try service.point(plan.pointID.text)
        let chosen = ChosenPoint(point: point, choice: nil, zone: selection.zone)
        return RestoreReport(chosen: chosen, plan: plan, undoes: undoes)
      case .refuse(let refusal): throw refusal
      }
    }
  }
}
