import ArgumentParser
import BackupEngine
import BackupPolicy

/// `--all` of the commands that work on every configured database.
struct EveryDatabaseOptions: ParsableArguments {
  @Flag(
    name: [.customLong("all"), .customLong("all-databases")],
    help: "Do it for every configured database, one after the other.")
  var all = false
}

/// Runs a command for one database, or for all configured ones: each under a heading, with the
/// worst of the exit codes at the end. With `--json` the result is an array with an object for
/// each.
struct EveryDatabase {
  let options: ServiceOptions
  let all: Bool

  /// - Parameters:
  ///   - flags: the values of the flags of other groups.
  ///   - known: the configuration, if it was read before.
  ///   - body: the command for one database.
  /// - Throws: the error of `body` for one database; for several `ExitCode`, `interrupted`, and
  ///   `usage` if none is configured.
  func run(_ flags: Layer = Layer(), in known: Configuration? = nil, _ body: (Selection) throws -> Void) throws {
    let configuration = try known ?? options.configuration(flags)
    guard all else { return try body(Selection(configuration, options.output)) }
    guard options.database == nil else {
      throw HoldfastError(.usage, "--all and --database exclude each other", hint: "remove one of them")
    }
    let databases = try configuration.databases()
    guard !databases.isEmpty else {
      throw HoldfastError(
        .usage, "no database is configured",
        hint: "write [[databases]] tables, use --database PATH, or set DATABASE_URL")
    }
    try configuration.requireKnownAssertions()
    try run(databases, body)
  }

  private func run(_ databases: [ConfiguredDatabase], _ body: (Selection) throws -> Void) throws {
    var entries: [JSONValue] = []
    var codes: [Int32] = []
    for (index, database) in databases.enumerated() {
      if !options.output.quiet {
        try options.console.show((index == 0 ? [] : [""]) + ["[\(database.name)] \(database.path)"])
      }
      let (code, result, error) = try outcome(of: database, body)
      codes.append(code)
      entries.append(
        .object([
          "database": .string(database.name), "path": .string(database.path),
          "backup_dir": .string(database.backupDir), "exit_code": .integer(Int64(code)), "result": result ?? .null,
          "error": error ?? .null,
        ]))
    }
    if options.console.json { try options.console.show(.array(entries), []) }
    if let worst = Self.worst(codes) { throw ExitCode(worst) }
  }

  private func outcome(
    of database: ConfiguredDatabase, _ body: (Selection) throws -> Void
  ) throws -> (code: Int32, result: JSONValue?, error: JSONValue?) {
    var failure: HoldfastError?
    var document: JSONValue?
    var code: Int32 = 0
    let result = Console.collecting {
      CallerOptions.with(database: database.name) {
        do {
          try database.requireAcceptance()
          try body(Selection(database, options.output))
        } catch let error as ExitCode {
          code = error.rawValue
        } catch {
          let known = GuardResult.error(error)
          (failure, document) = (known, ErrorReport.json(known))
          // With this database's name, so that its hint names it.
          if !options.console.json, known.code != .interrupted { _ = ErrorReport(error, asJSON: false).print() }
        }
      }
    }
    if let failure, failure.code == .interrupted { throw failure }
    return (failure?.code.exitCode ?? code, result, document)
  }

  /// The exit codes, the worst first: a damaged backup, a failure, no space, no key, refused, busy,
  /// not found.
  static func worst(_ codes: [Int32]) -> Int32? {
    let order: [Int32] = [3, 1, 7, 5, 8, 6, 4]
    return codes.filter { $0 != 0 }.min { (order.firstIndex(of: $0) ?? -1) < (order.firstIndex(of: $1) ?? -1) }
  }
}
