import ArgumentParser
import BackupEngine
import Logging

/// How much is said, and in which form.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON document.")
  var json = false

  @Flag(help: "Print results and errors only.")
  var quiet = false

  @Option(help: "What is logged to standard error (BACKUP_LOG_LEVEL; default: warning, for the agent info).")
  var logLevel: Logger.Level?

  var console: Console { Console(json: json, quiet: quiet) }

  /// - Parameter level: unless `--log-level` names another.
  func logger(_ level: Logger.Level = .warning) -> Logger {
    var logger = Logger(label: "holdfast") { _ in StandardErrorLog() }
    logger.logLevel = logLevel ?? level
    return logger
  }

  /// Runs engine work that may take long: with a progress bar on a terminal, and stopped cleanly by signals.
  ///
  /// - Parameters:
  ///   - listen: makes signals stop the work.
  ///   - body: its second argument takes the bar away, for those who print results while they work.
  func working<Result>(
    listen: (Progress) -> Void = { Interruption.stops($0) }, _ body: (Progress, _ clear: () -> Void) throws -> Result
  ) throws -> Result {
    let bar = ProgressBar(console)
    let progress = bar.map { bar in Progress { bar.show($0, $1, of: $2) } } ?? Progress()
    listen(progress)
    defer { bar?.erase() }
    return try body(progress) { bar?.erase() }
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
