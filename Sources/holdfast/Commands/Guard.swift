import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast guard`
struct Guard: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Back up and verify, then run a command that may do harm.",
    usage: "holdfast guard [<options>] -- <command> [<argument> ...]",
    discussion: """
      If there is no verified backup, the command is not started. If the command fails, the restore command to \
      type is printed, or --rollback restores at once, which also takes back the writes of other programs. The \
      backup is pinned until holdfast unpin. The exit code is that of the command, or 125 to 127.

      Examples:
        holdfast guard -- ./manage.py migrate
        holdfast guard --rollback --keep-for 7d -- alembic upgrade head
      """)

  @Flag(help: "If the command fails, restore the backup at once.")
  var rollback = false

  @Option(help: ArgumentHelp("Pin the backup only for this long, such as 7d.", valueName: "span"))
  var keepFor: String?

  @Flag(
    inversion: .prefixedNo,
    help: "Pin the backup until holdfast unpin; without a pin it stays for a week (default: yes).")
  var pin = true

  @Option(help: "Describe the backup in words (default: before and the name of the command).")
  var description: String?

  @Option(help: ArgumentHelp("Also write the result to this file, as JSON.", valueName: "path"), completion: .file())
  var report: String?

  // Only so that a forgotten -- is reported as such.
  @Argument(help: .hidden)
  var misplaced: String?

  @Argument(parsing: .postTerminator, help: "The command and its arguments, after --.")
  var command: [String] = []

  @OptionGroup(title: "Common options") var options: ServiceOptions
  @OptionGroup(title: "New backups") var creation: CreationOptions

  func run() throws {
    guard misplaced == nil, !command.isEmpty, !command[0].isEmpty else {
      throw Self.noCommand(ProcessEnvironment.arguments.dropFirst())
    }
    let keeping = try keeping()
    let configuration = try options.configuration(creation.flags)
    let selection = try Selection(configuration, options.output)
    let request = try request(selection)
    let command: GuardedCommand
    do {
      command = try GuardedCommand(self.command)
    } catch let unusable as GuardedCommand.Unusable {
      throw end(unusable)
    }
    let engine = try selection.engine(.needed, defaults: request.archive)
    let relay = try SignalRelay()
    GuardedCommand.ignoreBrokenPipes()
    let point = try options.output.working(listen: relay.stops) { progress, _ in
      engine.recordClock()
      return try engine.createGuard(request, keeping: keeping, progress: progress)
    }
    let guarding = Guarding(
      engine: engine, relay: relay, command: command, point: point, keeping: keeping, rollsBack: rollback,
      restore: RestoreCommandLine(point.id.text, selection, configuration), zone: selection.zone,
      output: GuardOutput(options: options.output, report: report))
    do {
      throw ExitCode(try guarding.run())
    } catch let unusable as GuardedCommand.Unusable {
      throw end(unusable)
    }
  }

  private func keeping() throws -> GuardKeeping {
    guard let keepFor else { return pin ? .pinned : .asSafetyBackup }
    guard pin else {
      throw HoldfastError(.usage, "--keep-for and --no-pin exclude each other", hint: "leave one of them out")
    }
    guard let span = TimeSpan(argument: keepFor), span.milliseconds >= 1000 else {
      throw HoldfastError(
        .usage, "--keep-for '\(keepFor.shortened)' is not a time with a unit", hint: "use 12h, 7d or 30d")
    }
    return .seconds(span.milliseconds / 1000)
  }

  /// - Parameter arguments: of the command line, `guard` first. The words right after it may be the
  ///   command.
  static func noCommand(_ arguments: ArraySlice<String>) -> HoldfastError {
    let typed = arguments.dropFirst().filter { $0 != "--" }
    let isCommand = typed.first.map { !$0.hasPrefix("-") && !$0.isEmpty } ?? false
    let example = isCommand ? typed.map(RestoreCommandLine.quoted).joined(separator: " ") : "./manage.py migrate"
    return HoldfastError(
      .usage, "guard needs the command behind --",
      hint: (isCommand ? "put -- before the command: " : "for example: ") + "holdfast guard -- \(example)")
  }

  private func request(_ selection: Selection) throws -> CreateRequest {
    let name = command[0].lastComponent
    let reason = BackupReason(.guard, description: description ?? "before \(name)", tags: [name])
    return try CreateRequest(ArchiveOptions(selection.settings), for: reason)
  }

  /// The exit status is that of a shell, and not one of ours.
  private func end(_ unusable: GuardedCommand.Unusable) -> ExitCode {
    _ = ErrorReport(unusable.error, asJSON: options.console.json).print()
    return ExitCode(unusable.status)
  }
}
