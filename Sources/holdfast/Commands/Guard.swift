import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast guard`
struct Guard: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a command that may do harm, with a verified backup taken just before.",
    usage: "holdfast guard [--rollback] [<options>] -- <command> [<argument> ...]",
    discussion: """
      The backup is of type guard: verified in full, and pinned until holdfast unpin. If it cannot be made, the command is not \
      started. The command runs as if it had been started without guard: with this terminal, its standard input and output, \
      its environment (but for BACKUP_ENCRYPTION_PASSWORD) and no shell in between. Signals that reach holdfast are passed \
      on, and what the terminal sends reaches the command by itself.

      When the command fails, the restore command to type is shown on standard error; with --rollback the restore itself is \
      done, which takes back what other programs wrote meanwhile, too. What was there is kept in a safety backup, and \
      holdfast undo brings it back. If holdfast is killed, the command goes on and nothing is rolled back.

      The command's name becomes a tag; its arguments are not recorded, for they may hold passwords. With --json the result \
      goes to standard error, since standard output is the command's.

      Exit codes: the command's own, 128 and the signal's number where one killed it; 127 where it is not found and 126 where \
      it cannot be run (no backup is made then); 125 where it failed and the rollback failed as well. Without a backup: the \
      code of that failure, as of any command.
      """)

  @Flag(help: "When the command fails, bring the database back to what it was before.")
  var rollback = false

  @Option(help: ArgumentHelp("Pin the backup for this long, such as 7d; then the rules decide.", valueName: "span"))
  var keepFor: String?

  @Flag(inversion: .prefixedNo, help: "Pin the backup until holdfast unpin; else it stays as long as a safety backup.")
  var pin = true

  @Option(help: "What the backup is of, in words (default: before and the command's name).")
  var description: String?

  @Option(help: ArgumentHelp("Also write the result to this file, as JSON.", valueName: "path"))
  var report: String?

  // Only so that a forgotten -- is told as such.
  @Argument(help: .hidden)
  var misplaced: String?

  @Argument(parsing: .postTerminator, help: "The command and its arguments, behind --.")
  var command: [String] = []

  @OptionGroup(title: "Common options") var options: ServiceOptions
  @OptionGroup var creation: CreationOptions

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
    let service = try selection.service(.needed, defaults: CreateRequest(selection.settings))
    let relay = try SignalRelay()
    GuardedCommand.ignoreBrokenPipes()
    let point = try options.output.working(listen: relay.stops) { progress, _ in
      service.noteClock()
      return try service.createGuard(request, keeping: keeping, progress: progress)
    }
    let guarding = Guarding(
      service: service, relay: relay, command: command, point: point, keeping: keeping, rollsBack: rollback,
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

  /// - Parameter arguments: of the command line, `guard` first. What follows it at once may be the command.
  static func noCommand(_ arguments: ArraySlice<String>) -> HoldfastError {
    let typed = arguments.dropFirst().filter { $0 != "--" }
    let isCommand = typed.first.map { !$0.hasPrefix("-") && !$0.isEmpty } ?? false
    let example = isCommand ? typed.map(RestoreCommandLine.quoted).joined(separator: " ") : "./manage.py migrate"
    return HoldfastError(
      .usage, "guard needs the command behind --",
      hint: (isCommand ? "put -- before the command: " : "for example: ") + "holdfast guard -- \(example)")
  }

  private func request(_ selection: Selection) throws -> CreateRequest {
    var request = try CreateRequest(selection.settings)
    let name = command[0].lastComponent
    request.description = description ?? "before \(name)"
    request.tags = [name]
    return request
  }

  /// The exit status is the shells', and not one of ours.
  private func end(_ unusable: GuardedCommand.Unusable) -> ExitCode {
    _ = ErrorReport(unusable.error, asJSON: options.console.json).print()
    return ExitCode(unusable.status)
  }
}
