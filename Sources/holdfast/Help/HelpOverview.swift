/// The help of `holdfast` itself: all commands on one small screen.
enum HelpOverview {
  /// Commands that belong together, and their purpose.
  typealias Row = (names: [String], text: String)

  static let groups: [(title: String, rows: [Row])] = [
    (
      "Every day",
      [
        (["create", "backup-now", "agent", "sync"], "back up now, after each change, off-site"),
        (["status", "list", "show", "stats"], "is the data safe, and which backups exist"),
        (["cleanup", "compact", "delete"], "remove by rules, merge incrementals, remove one"),
        (["pin", "unpin", "guard"], "keep a backup, back up before a risky command"),
        (["pause", "resume", "reload", "follow"], "control the running agent, see what it does"),
      ]
    ),
    (
      "After an accident",
      [
        (["query", "diff", "accept"], "ask or compare backups, accept an anomaly"),
        (["restore", "undo"], "restore a backup, take the last restore back"),
      ]
    ),
    (
      "Checks",
      [
        (["verify", "drill", "notify"], "check a backup, exercise a restore, test alerts"),
        (["doctor", "targets", "metrics"], "look for problems, copies, Prometheus"),
      ]
    ),
    (
      "Set-up",
      [
        (["init", "config"], "make key and settings, show or check settings"),
        (["schedule", "completion", "version"], "explain a cron schedule, complete in the shell"),
      ]
    ),
  ]

  static let examples = [
    "holdfast create app.db                   back up a database now",
    "holdfast agent --database app.db         back it up after each change",
    "holdfast restore --at '10 minutes ago'   restore its content of that time",
  ]

  static var lines: [String] {
    [
      CommandDescription.root.abstract, "", "USAGE: \(CommandDescription.root.usage)",
      "       holdfast help <command>", "",
    ]
      + groups.flatMap { title, rows in
        ["\(title.uppercased()):"]
          + rows.flatMap { HelpPage.entry($0.names.joined(separator: ", "), $0.text, labels: 33) }
      } + ["EXAMPLES:"] + examples.map { "  \($0)" }
  }
}
