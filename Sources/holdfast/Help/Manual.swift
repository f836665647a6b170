import BackupEngine

/// The manual pages, made from the commands and the table of settings.
enum Manual {
  static let program: ManualPage.Reference = ("holdfast", 1)
  static let agent: ManualPage.Reference = ("holdfast-agent", 8)
  static let settings: ManualPage.Reference = ("holdfast.toml", 5)

  /// The pages by the names of their files.
  static var pages: [(file: String, text: String)] {
    [("holdfast.1", programPage), ("holdfast-agent.8", agentPage), ("holdfast.toml.5", settingsPage)]
  }

  /// The meanings of the exit codes.
  static let exitCodes: [(code: Int, meaning: String)] = [
    (0, "done"), (1, "failed"),
    (3, "verification failed, or an archive is damaged; findings about the database alone are no failure"),
    (4, "no such backup"), (5, "wrong or missing password or key"),
    (6, "busy or locked, or the facts changed meanwhile"), (7, "no space"), (8, "refused"),
    (64, "the command line or the configuration is wrong"), (130, "interrupted, with nothing changed"),
  ]

  private static let files: [(path: String, meaning: String)] = [
    ("./holdfast.toml", "The settings, if the working directory has this file."),
    ("~/.config/holdfast/holdfast.toml", "The settings of a user; $XDG_CONFIG_HOME is respected."),
    ("/etc/holdfast/holdfast.toml", "The settings of a host. The first of these three files that exists is read."),
    ("./.env", "Settings as environment variables."),
    ("~/.config/holdfast/key", "The key file that holdfast init makes."),
    ("backups", "The repository, beside the database unless backup_dir names another folder."),
    (
      "~/.local/state/holdfast",
      "The knowledge of this host about its repositories; $STATE_DIRECTORY and $XDG_STATE_HOME are respected."
    ),
  ]

  private static let variables: [(name: String, meaning: String)] = [
    ("HOLDFAST_CONFIG", "The configuration file, if --config does not name one."),
    ("NO_COLOR", "Turns colours off."),
    ("STATE_DIRECTORY, XDG_STATE_HOME", "The place of the state folder."),
    ("TZ", "The zone of this host, in which times are shown unless the setting timezone names one."),
    ("XDG_CONFIG_HOME", "The place of the key and of holdfast.toml."),
  ]

  // MARK: holdfast(1)

  private static var programPage: String {
    let root = CommandDescription.root
    var page = ManualPage(program, "back up live SQLite databases, and restore any backup")
    page.heading("Synopsis")
    page.synopsis(["holdfast <command> [<options>]", "holdfast help <command>"])
    page.heading("Description")
    page.paragraph(root.abstract)
    page.paragraph(
      "A backup is named by its ID, by a unique prefix of the ID, or by latest: the newest sound backup that no restore "
        + "put aside. A time may take the place of an ID.")
    page.heading("Commands")
    for command in root.leaves { page.add(command, isAgent: command.name == "agent") }
    page.heading("Common options")
    page.add(commonOptions)
    page.heading("Examples")
    for example in HelpOverview.examples { page.add(example: example) }
    page.addExitStatus("guard ends with the exit code of its command, or with 125 to 127.")
    page.addFiles(files)
    page.addEnvironment(
      variables, "Each setting has a variable, which holdfast.toml(5) names. A flag wins over it.")
    page.seeAlso([agent, settings])
    return page.text
  }

  private static var commonOptions: [ArgumentDescription] {
    CommandDescription.root.named("list")?.arguments.filter { $0.section == HelpPage.commonOptions } ?? []
  }

  // MARK: holdfast-agent(8)

  private static var agentPage: String {
    guard let command = CommandDescription.root.named("agent") else { return "" }
    var page = ManualPage(agent, "back up SQLite databases after changes and by the clock")
    page.heading("Synopsis")
    page.synopsis([command.usage])
    page.heading("Description")
    page.paragraph(command.abstract)
    for text in command.discussion { page.paragraph(text) }
    page.heading("Options")
    page.addSections(command.arguments)
    page.heading("Signals")
    for (name, meaning) in signals { page.item(name, meaning) }
    page.heading("Examples")
    for example in command.examples { page.add(example: example) }
    page.addExitStatus("An agent that SIGTERM or SIGINT ends has the exit code 0.")
    page.addFiles(files)
    page.addEnvironment(
      variables + [("NOTIFY_SOCKET", "Set by systemd: the agent reports that it is ready and alive.")],
      "Each setting has a variable, which stands beside its option above. A flag wins over it.")
    page.seeAlso([program, settings])
    return page.text
  }

  private static let signals = [
    ("SIGTERM, SIGINT", "Let a running backup end and store a pending change, within --stop-grace; then exit with 0."),
    ("SIGHUP", "Read the configuration again. Flags stay, and a mistake leaves the old configuration in force."),
    ("SIGUSR1", "Back up now."),
  ]

  // MARK: holdfast.toml(5)

  private static var settingsPage: String {
    var page = ManualPage(settings, "settings of Holdfast")
    page.heading("Description")
    page.paragraph(
      "A file in TOML. Flags win over environment variables, those over .env, that over this file, and that over the "
        + "defaults. holdfast config show lists every setting with its value and the origin of the value, and holdfast "
        + "config check lists every mistake.")
    page.paragraph(
      "Paths are relative to the folder of the file, and ~/ is the home folder. A password does not belong in this file: "
        + "name a key_file or a password_file.")
    page.heading("Settings")
    for row in SettingTable.rows where !row.key.isSecret { page.add(row) }
    page.heading("Tables")
    for (name, meaning) in tables { page.item(name, meaning) }
    page.heading("Settings of a target")
    for group in TargetSettingTable.groups { page.add(group) }
    page.heading("Settings of a channel of messages")
    for row in ChannelSettingTable.rows { page.item(row.name, row.words) }
    page.heading("Examples")
    page.example(exampleFile)
    page.heading("Exit status")
    page.paragraph("holdfast config check ends with 0 if the file is sound, and with 64 if there is a mistake.")
    page.addFiles(Array(files.prefix(3)))
    page.addEnvironment(
      SettingKey.allCases.map { ($0.variable, $0.isSecret ? "\($0.definition.summary)." : "The setting \($0.name).") },
      "An empty variable counts as not set.")
    page.seeAlso([program, agent])
    return page.text
  }

  private static let tables = [
    (
      "[[databases]]",
      "One of several databases: path, which may be a pattern, name, and any setting that differs for this database."
    ),
    (
      "[[targets]], [[databases.targets]]",
      "A place to which the agent copies the backups of every database, or of the database above. Its settings are below."
    ),
    (
      "[[notify]]",
      "A channel to which the agent sends messages about alarms. Its settings are below."
    ),
    ("[drill]", "The settings drill.schedule and drill.max_age, as schedule and max_age."),
    (
      "[[drill.assert]]",
      "A query that a drill asks the restored database: name, sql, expect (the output of sqlite3), and database to pick "
        + "one of several."
    ),
  ]

  private static let exampleFile = [
    "key_file = \"/etc/holdfast/key\"", "keep_daily = 7", "keep_weekly = 5", "", "[drill]", "schedule = \"0 4 * * 0\"",
    "", "[[drill.assert]]", "name = \"there are customers\"", "sql = \"SELECT count(*) > 0 FROM customers\"",
    "expect = \"1\"", "", "[[databases]]", "path = \"/srv/shop/shop.db\"", "name = \"shop\"",
    "schedule = \"0 2 * * *\"",
  ]
}

// The parts that the pages share.
extension ManualPage {
  fileprivate mutating func add(_ command: CommandDescription, isAgent: Bool) {
    subheading(command.usage)
    paragraph(command.abstract)
    guard !isAgent else { return paragraph("See holdfast-agent(8).") }
    for text in command.discussion { paragraph(text) }
    addSections(command.arguments.filter { $0.section != HelpPage.commonOptions && $0.section != HelpPage.settings })
    if !command.examples.isEmpty { example(command.examples) }
  }

  fileprivate mutating func addSections(_ arguments: [ArgumentDescription]) {
    let ordered = arguments.filter(\.isPositional) + arguments.filter { !$0.isPositional && $0.section.isEmpty }
    add(ordered)
    var titles: [String] = []
    for argument in arguments where !argument.section.isEmpty && !titles.contains(argument.section) {
      titles.append(argument.section)
    }
    for title in titles {
      paragraph("\(title):")
      add(arguments.filter { $0.section == title })
    }
  }

  fileprivate mutating func add(_ arguments: [ArgumentDescription]) {
    for argument in ArgumentDescription.merged(arguments) { item(argument.label, argument.text) }
  }

  /// Adds a command, and below it the explanation that follows two blanks.
  fileprivate mutating func add(example text: String) {
    guard let gap = text.firstRange(of: "  ") else { return example([text]) }
    let explanation = String(text[gap.upperBound...].drop { $0 == " " })
    paragraph("\(explanation.prefix(1).uppercased())\(explanation.dropFirst()):")
    example([String(text[..<gap.lowerBound])])
  }

  fileprivate mutating func add(_ row: SettingDefinition) {
    item(row.name, row.words + (row.key.flagText.map { " Flag: \($0)." } ?? ""))
  }

  /// Adds settings of a target with the same words.
  fileprivate mutating func add(_ group: [TargetSettingDefinition]) {
    guard let first = group.first else { return }
    item(group.map(\.name).joined(separator: ", "), group.count == 1 ? first.words : first.wordsWithoutExample)
  }

  fileprivate mutating func addExitStatus(_ note: String) {
    heading("Exit status")
    for (code, meaning) in Manual.exitCodes {
      item("\(code)", "\(meaning.prefix(1).uppercased())\(meaning.dropFirst()).")
    }
    paragraph(note)
  }

  fileprivate mutating func addFiles(_ files: [(path: String, meaning: String)]) {
    heading("Files")
    for (path, meaning) in files { item(path, meaning) }
  }

  fileprivate mutating func addEnvironment(_ variables: [(name: String, meaning: String)], _ note: String) {
    heading("Environment")
    paragraph(note)
    for (name, meaning) in variables { item(name, meaning) }
  }
}

extension SettingRow {
  fileprivate var words: String {
    wordsWithoutExample + (example.map { " Example: \(kind.literal($0))." } ?? "").replacing("`", with: "")
  }

  fileprivate var wordsWithoutExample: String {
    "\(summary). Default: \(standardText ?? standardWords).".replacing("`", with: "")
  }
}
