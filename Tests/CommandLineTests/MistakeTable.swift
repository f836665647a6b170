import Testing

/// Common mistakes in a configuration, and the exact line that reports each of them.
struct Mistake: Sendable, CustomTestStringConvertible {
  enum Place: Sendable {
    case toml(String)
    case env(String)
    case environment([String: String])
    case flags([String])
  }

  var name: String
  var place: Place
  /// Without `holdfast: error: `.
  var error: String
  var hint: String
  var testDescription: String { name }

  init(_ name: String, _ place: Place, _ error: String, hint: String) {
    (self.name, self.place, self.error, self.hint) = (name, place, error, hint)
  }
}

extension Mistake {
  /// Names, values and the language of `holdfast.toml`.
  static let spelling = [
    Mistake(
      "a name with a slip", .toml("debouce = \"5s\""),
      "holdfast.toml:1:1: debouce is not a setting",
      hint: "did you mean debounce?"),
    Mistake(
      "a name with a dash", .toml("max-delay = \"5s\""),
      "holdfast.toml:1:1: max-delay is not a setting",
      hint: "write max_delay here"),
    Mistake(
      "the environment's name", .toml("BACKUP_DIR = \"/srv\""),
      "holdfast.toml:1:1: BACKUP_DIR is not a setting",
      hint: "write backup_dir here; BACKUP_DIR is its name in the environment"),
    Mistake(
      "the database's name in the environment", .toml("DATABASE_URL = \"sqlite:///app.db\""),
      "holdfast.toml:1:1: DATABASE_URL is not a setting",
      hint: "write database here; DATABASE_URL is its name in the environment"),
    Mistake(
      "the flag's name", .toml("encrypt = true"),
      "holdfast.toml:1:1: encrypt is not a setting",
      hint: "write encryption_enabled here; --encrypt is its flag"),
    Mistake(
      "restic's name", .toml("repository = \"/srv\""),
      "holdfast.toml:1:1: repository is not a setting",
      hint: "write backup_dir here"),
    Mistake(
      "the Python service's name", .toml("database_path = \"app.db\""),
      "holdfast.toml:1:1: database_path is not a setting",
      hint: "write database here"),
    Mistake(
      "a word of another tool", .toml("keep_minutely = 7"),
      "holdfast.toml:1:1: keep_minutely is not a setting",
      hint: "keep_hourly is the finest rule of the calendar; thin keeps one a minute for a day"),
    Mistake(
      "a name that is like none", .toml("colour = \"red\""),
      "holdfast.toml:1:1: colour is not a setting",
      hint: "config/holdfast.example.toml lists every setting"),
    Mistake(
      "a name in capitals", .toml("Debounce = \"5s\""),
      "holdfast.toml:1:1: Debounce is not a setting",
      hint: "write debounce here"),
    Mistake(
      "a line for .env", .toml("export BACKUP_DIR=/srv"),
      "holdfast.toml:1:1: export belongs to .env",
      hint: "write name = value"),
    Mistake(
      "YAML", .toml("debounce: 5s"),
      "holdfast.toml:1:1: debounce is not followed by an equals sign",
      hint: "write name = value"),
    Mistake(
      "text without quotes", .toml("debounce = 500ms"),
      "holdfast.toml:1:12: debounce is 500ms, which is neither a number nor true or false",
      hint: "put text in quotes: debounce = \"500ms\""),
    Mistake(
      "a path without quotes", .toml("backup_dir = /srv/backups"),
      "holdfast.toml:1:14: backup_dir is /srv/backups, which is neither a number nor true or false",
      hint: "put text in quotes: backup_dir = \"/srv/backups\""),
    Mistake(
      "True", .toml("skip_unchanged = True"),
      "holdfast.toml:1:18: skip_unchanged is True, which is neither a number nor true or false",
      hint: "write true"),
    Mistake(
      "yes", .toml("skip_unchanged = yes"),
      "holdfast.toml:1:18: skip_unchanged is yes, which is neither a number nor true or false",
      hint: "write true"),
    Mistake(
      "a boolean in quotes", .toml("encryption_enabled = \"yes\""),
      "holdfast.toml:1:22: encryption_enabled is \"yes\", which is not true or false",
      hint: "write true, without quotes"),
    Mistake(
      "a number for a boolean", .toml("catch_up = 1"),
      "holdfast.toml:1:12: catch_up is 1, which is not true or false",
      hint: "write true"),
    Mistake(
      "a number in quotes", .toml("max_backups = \"30\""),
      "holdfast.toml:1:15: max_backups is \"30\", which is not a whole number of at least 1, or none",
      hint: "write 30, without quotes"),
    Mistake(
      "none of a number", .toml("max_backups = 0"),
      "holdfast.toml:1:15: max_backups is 0, which is not a whole number of at least 1, or none",
      hint: "use a whole number of at least 1, or none"),
    Mistake(
      "a fraction", .toml("retention_days = 1.5"),
      "holdfast.toml:1:18: retention_days is a floating-point number, which is not a whole number of at least 1, or none",
      hint: "use a whole number of at least 1, or none"),
    Mistake(
      "no value", .toml("backup_dir ="),
      "holdfast.toml:1:13: backup_dir has no value",
      hint: "write one, or remove the line"),
    Mistake(
      "an empty value", .toml("backup_dir = \"\""),
      "holdfast.toml:1:14: backup_dir is empty",
      hint: "name a folder, or omit it"),
    Mistake(
      "a quote that is not closed", .toml("backup_dir = \"/srv\ndebounce = \"5s\""),
      "holdfast.toml:1:14: the string is not closed on its line",
      hint: "write \" at its end"),
    Mistake(
      "a Windows path", .toml("backup_dir = \"C:\\data\""),
      "holdfast.toml:1:17: \\d is not an escape",
      hint: "write two backslashes, or the text in '…'"),
    Mistake(
      "the same name twice", .toml("debounce = \"5s\"\nmode = \"change\"\ndebounce = \"6s\""),
      "holdfast.toml:3:1: debounce is already in line 1",
      hint: "remove one of the two"),
    Mistake(
      "a comment as in C", .toml("// comment"),
      "holdfast.toml:1:1: this is neither a setting nor a comment",
      hint: "comments begin with #"),
    Mistake(
      "a time without a unit", .toml("max_delay = 5"),
      "holdfast.toml:1:13: max_delay is 5, which is not a time with a unit, such as 500ms, 5s, 2min or 1h",
      hint: "write \"5ms\", \"5s\" or \"5min\""),
    Mistake(
      "a time in words", .toml("poll_interval = \"30 seconds\""),
      "holdfast.toml:1:17: poll_interval is \"30 seconds\", which is not a time with a unit, such as 500ms, 5s, 2min or 1h",
      hint: "write \"30s\""),
    Mistake(
      "a time that is a fraction", .toml("min_interval = \"1.5s\""),
      "holdfast.toml:1:16: min_interval is \"1.5s\", which is not a time with a unit, such as 500ms, 5s, 2min or 1h",
      hint: "write \"1500ms\""),
    Mistake(
      "a space without a unit", .toml("min_free_space = 5"),
      "holdfast.toml:1:18: min_free_space is 5, which is not a size with a unit or a percentage, such as 500MiB, 2GiB or 5%, or none",
      hint: "write \"5MiB\", \"5GiB\" or \"5%\""),
    Mistake(
      "a space with a blank", .toml("min_free_space = \"2 GiB\""),
      "holdfast.toml:1:18: min_free_space is \"2 GiB\", which is not a size with a unit or a percentage, such as 500MiB, 2GiB or 5%, or none",
      hint: "write \"2GiB\""),
    Mistake(
      "a time in words of days", .toml("max_delay = \"1 day\""),
      "holdfast.toml:1:13: max_delay is \"1 day\", which is not a time with a unit, such as 500ms, 5s, 2min or 1h",
      hint: "write \"24h\""),
    Mistake(
      "a poll without a pause", .toml("poll_interval = \"0s\""),
      "holdfast.toml:1:17: poll_interval is \"0s\", which is too short",
      hint: "use at least 100ms"),
    Mistake(
      "a level that does not exist", .toml("compression_level = 12"),
      "holdfast.toml:1:21: compression_level is 12, which is not a level from 1 (fast) to 9 (small)",
      hint: "use a level from 1 (fast) to 9 (small)"),
    Mistake(
      "a choice with a slip", .toml("mode = \"hybird\""),
      "holdfast.toml:1:8: mode is \"hybird\", which is not change, schedule or hybrid",
      hint: "write \"hybrid\""),
    Mistake(
      "another tool's cipher", .toml("cipher = \"aes-256-ctr\""),
      "holdfast.toml:1:10: cipher is \"aes-256-ctr\", which is not aes-256-gcm or aes-256-cbc",
      hint: "write \"aes-256-cbc\""),
    Mistake(
      "another library's level", .toml("log_level = \"warn\""),
      "holdfast.toml:1:13: log_level is \"warn\", which is not trace, debug, info, notice, warning, error or critical",
      hint: "write \"warning\""),
    Mistake(
      "a schedule with four fields", .toml("schedule = \"0 2 * *\""),
      "holdfast.toml:1:12: schedule is '0 2 * *', column 8: of the five fields, weekday is missing",
      hint: "* is any: '0 2 * * *'"),
    Mistake(
      "a schedule with seconds", .toml("schedule = \"0 0 2 * * *\""),
      "holdfast.toml:1:12: schedule is '0 0 2 * * *', column 1: there are 6 fields, and a schedule has five",
      hint: "minute, hour, day of month, month, weekday, without seconds, year or command, as in '0 2 * * *'"),
    Mistake(
      "an hour that does not exist", .toml("schedule = [\"0 2 * * *\", \"0 25 * * *\"]"),
      "holdfast.toml:1:26: schedule is '0 25 * * *', column 3: '25' is not an hour",
      hint: "hours are 0-23"),
    Mistake(
      "a schedule in words", .toml("schedule = \"daily\""),
      "holdfast.toml:1:12: schedule is 'daily', column 6: of the five fields, hour, day of month, month and weekday are missing",
      hint: "write @daily"),
    Mistake(
      "a schedule as a number", .toml("schedule = 5"),
      "holdfast.toml:1:12: schedule is 5, which is not a cron expression",
      hint: "write it in quotes, such as \"0 2 * * *\""),
    Mistake(
      "a zone with a slip", .toml("timezone = \"Europe/Berln\""),
      "holdfast.toml:1:12: timezone: there is no time zone 'Europe/Berln'",
      hint: "did you mean Europe/Berlin?"),
    Mistake(
      "a zone as an abbreviation", .toml("timezone = \"CEST\""),
      "holdfast.toml:1:12: timezone: there is no time zone 'CEST'",
      hint: "did you mean CET?"),
    Mistake(
      "quiet hours without minutes", .toml("quiet_hours = \"22-6\""),
      "holdfast.toml:1:15: quiet_hours is `22-6`, column 1: `22` is not a time of day",
      hint: "write, for example, 22:00-06:00 or Sat-Sun 00:00-24:00"),
    Mistake(
      "a mode without its schedule", .toml("mode = \"schedule\""),
      "holdfast.toml:1:8: mode is schedule, but there is no schedule",
      hint: "set a schedule, such as schedule = \"0 2 * * *\", or mode = \"change\""),
  ]

  /// Content of `holdfast.toml`, rightly spelt.
  static let meaning = [
    Mistake(
      "a password", .toml("password = \"secret\""),
      "holdfast.toml:1:1: password is a secret, which does not belong in this file",
      hint: "use password_file or key_file, or set BACKUP_ENCRYPTION_PASSWORD in the environment"),
    Mistake(
      "a password under its name in the environment", .toml("encryption_password = \"secret\""),
      "holdfast.toml:1:1: encryption_password is a secret, which does not belong in this file",
      hint: "use password_file or key_file, or set BACKUP_ENCRYPTION_PASSWORD in the environment"),
    Mistake(
      "a key in place of its file", .toml("key_file = \"gone.key\""),
      "holdfast.toml:1:12: key_file: cannot read the key file gone.key: no such file",
      hint: "put the key file back if it was lost, create one with holdfast init, or name another one with --key-file"),
    Mistake(
      "a folder that is a file", .toml("backup_dir = \"app.db\""),
      "holdfast.toml:1:14: backup_dir names app.db, which is not a folder",
      hint: "name a folder"),
    Mistake(
      "a variable in a path", .toml("backup_dir = \"$HOME/backups\""),
      "holdfast.toml:1:14: backup_dir is \"$HOME/backups\", but variables are not replaced here",
      hint: "write the path itself, or ./$HOME/backups if that is its name"),
    Mistake(
      "another user's home", .toml("backup_dir = \"~joe/backups\""),
      "holdfast.toml:1:14: backup_dir is \"~joe/backups\", but only ~/ is replaced here",
      hint: "write the full path"),
    Mistake(
      "another database's URL", .toml("database = \"postgres://user:secret@host/app\""),
      "holdfast.toml:1:12: database is a postgres URL, but only SQLite databases can be backed up",
      hint: "use a path, sqlite:///relative.db or sqlite:////absolute.db"),
    Mistake(
      "a pattern for one database", .toml("database = \"data/*.db\""),
      "holdfast.toml:1:12: database is a pattern, but one database is needed here",
      hint: "put it into a [[databases]] table: path = \"data/*.db\""),
    Mistake(
      "a table of settings", .toml("[agent]\ndebounce = \"5s\""),
      "holdfast.toml:1:1: [agent] is not a table of settings",
      hint:
        "write settings at the top of the file, without a table; there are the tables [[databases]], [[targets]], [[notify]] and [drill]"
    ),
    Mistake(
      "one bracket", .toml("[databases]\npath = \"app.db\""),
      "holdfast.toml:1:1: databases is not an array of tables",
      hint: "write [[databases]], with two brackets on each side"),
    Mistake(
      "a table for each name", .toml("[databases.app]\npath = \"app.db\""),
      "holdfast.toml:1:1: databases is not an array of tables",
      hint: "write [[databases]], with two brackets on each side"),
    Mistake(
      "another name for the tables", .toml("[[database]]\npath = \"app.db\""),
      "holdfast.toml:1:1: [[database]] is not a table of settings",
      hint: "write [[databases]], with two brackets on each side"),
    Mistake(
      "a database without a path", .toml("[[databases]]\nname = \"app\""),
      "holdfast.toml:1:1: [[databases]] has no path",
      hint: "write path = \"/srv/app/app.db\" below it"),
    Mistake(
      "both ways to name databases", .toml("database = \"app.db\"\n[[databases]]\npath = \"app.db\""),
      "holdfast.toml:1:12: database is set beside [[databases]], but only one of them can count",
      hint: "make it a [[databases]] table with path = \"…\""),
    Mistake(
      "a setting of the process in a database", .toml("[[databases]]\npath = \"app.db\"\nlog_level = \"info\""),
      "holdfast.toml:3:1: log_level is not a setting of one database",
      hint: "move it above the first [[databases]]"),
    Mistake(
      "database in a database's table", .toml("[[databases]]\ndatabase = \"app.db\""),
      "holdfast.toml:2:1: database belongs to the top of the file",
      hint: "in a [[databases]] table, write path = \"…\""),
    Mistake(
      "a database twice", .toml("[[databases]]\npath = \"app.db\"\n[[databases]]\npath = \"./app.db\"\nname = \"b\""),
      "holdfast.toml:4:8: path names ./app.db, which line 2 also names",
      hint: "remove one of the two"),
    Mistake(
      "a name twice", .toml("[[databases]]\npath = \"app.db\"\n[[databases]]\npath = \"data/app.db\""),
      "holdfast.toml:4:8: path gives the name app, which line 2 also gives: data/app.db and app.db",
      hint: "give each its own name = \"…\""),
    Mistake(
      "a folder twice",
      .toml(
        "[[databases]]\npath = \"app.db\"\nbackup_dir = \"b\"\n[[databases]]\npath = \"data/b.db\"\nbackup_dir = \"./b\""
      ),
      "holdfast.toml:6:14: backup_dir gives data/b.db the backup folder of app.db: ./b",
      hint: "give each database its own backup_dir"),
    Mistake(
      "a name with a slash", .toml("[[databases]]\npath = \"app.db\"\nname = \"a/b\""),
      "holdfast.toml:3:8: name is \"a/b\", which cannot name a folder",
      hint: "use letters, digits, dots and dashes"),
    Mistake(
      "a name for a pattern", .toml("[[databases]]\npath = \"data/*.db\"\nname = \"x\""),
      "holdfast.toml:3:8: name is set beside a pattern, which may match several databases",
      hint: "remove it: each database is named after the matched part of its path"),
    Mistake(
      "a header that is not closed", .toml("[[databases]\npath = \"app.db\""),
      "holdfast.toml:1:1: [[ is not closed with ]]",
      hint: "write [[name]]"),
    Mistake(
      "a name that is missing", .toml("[.a]"),
      "holdfast.toml:1:2: a name is missing here",
      hint: "write name = value; other characters need \"…\""),
  ]

  /// `.env`.
  static let variables = [
    Mistake(
      "a variable with a slip", .env("BACKUP_DEBOUCE=5s"),
      ".env:1:1: BACKUP_DEBOUCE is not a setting",
      hint: "did you mean BACKUP_DEBOUNCE?"),
    Mistake(
      "a variable in small letters", .env("backup_dir=/srv"),
      ".env:1:1: backup_dir is not a setting",
      hint: "did you mean BACKUP_DIR?"),
    Mistake(
      "a boolean that is none", .env("BACKUP_ENABLED=maybe"),
      ".env:1:16: BACKUP_ENABLED is \"maybe\", which is not true or false (also yes, no, on, off, 1, 0)",
      hint: "use true or false (also yes, no, on, off, 1, 0)"),
    Mistake(
      "a quote in .env that is not closed", .env("BACKUP_DIR=\"/srv"),
      ".env:1:12: BACKUP_DIR begins with a quote that is never closed",
      hint: "close it, or remove the quote"),
    Mistake(
      "text behind a quote", .env("BACKUP_DIR=\"/srv\" backups"),
      ".env:1:12: BACKUP_DIR continues after its closing quote",
      hint: "put the whole value in quotes, or a space before the #"),
    Mistake(
      "a variable in .env", .env("BACKUP_DIR=${HOME}/backups"),
      ".env:1:12: BACKUP_DIR contains a $ reference, which is not replaced here",
      hint: "write the value itself; if the $ belongs to it, put it in single quotes"),
    Mistake(
      "a home folder in .env", .env("BACKUP_DIR=$HOME/backups"),
      ".env:1:12: BACKUP_DIR is \"$HOME/backups\", but variables are not replaced here",
      hint: "write the path itself, or ./$HOME/backups if that is its name"),
    Mistake(
      "a line of YAML in .env", .env("BACKUP_DIR: /srv"),
      ".env:1:1: BACKUP_DIR has no value",
      hint: "write BACKUP_DIR=value on one line"),
    Mistake(
      "a schedule in .env with a slip", .env("BACKUP_SCHEDULE=0 2 * * Mo"),
      ".env:1:17: BACKUP_SCHEDULE is '0 2 * * Mo', column 9: 'Mo' is not a weekday",
      hint: "did you mean Mon? weekdays are 0-7 (0 and 7 are Sunday) or Sun-Sat"),
    Mistake(
      "a password and its file", .env("BACKUP_ENCRYPTION_PASSWORD=a\nBACKUP_ENCRYPTION_PASSWORD_FILE=b"),
      ".env:2:33: BACKUP_ENCRYPTION_PASSWORD and BACKUP_ENCRYPTION_PASSWORD_FILE are both set",
      hint: "remove one of them"),
    Mistake(
      "a password file that is not there", .env("BACKUP_ENCRYPTION_PASSWORD_FILE=gone"),
      ".env:1:33: BACKUP_ENCRYPTION_PASSWORD_FILE: cannot read the password file gone: no such file",
      hint: "check the path and its permissions"),
  ]

  /// The environment and the command line.
  static let elsewhere = [
    Mistake(
      "a time in the environment", .environment(["BACKUP_DEBOUNCE": "5"]),
      "the environment variable BACKUP_DEBOUNCE is \"5\", which is not a time with a unit, such as 500ms, 5s, 2min or 1h",
      hint: "use a time with a unit, such as 500ms, 5s, 2min or 1h"),
    Mistake(
      "a comment in the environment", .environment(["BACKUP_SCHEDULE": "0 2 * * *  # daily"]),
      "the environment variable BACKUP_SCHEDULE is '0 2 * * *  # daily', column 12: there are 7 fields, and a schedule has five",
      hint: "remove the text after the #: only .env has comments after a value"),
    Mistake(
      "a level in the environment", .environment(["BACKUP_LOG_LEVEL": "verbose"]),
      "the environment variable BACKUP_LOG_LEVEL is \"verbose\", which is not trace, debug, info, notice, warning, error or critical",
      hint: "write debug"),
    Mistake(
      "a home folder in the environment", .environment(["BACKUP_DIR": "~/backups"]),
      "the environment variable BACKUP_DIR is \"~/backups\", but the shell did not replace the ~",
      hint: "write the full path"),
    Mistake(
      "a configuration file that is not there", .environment(["HOLDFAST_CONFIG": "gone.toml"]),
      "there is no file gone.toml, which HOLDFAST_CONFIG names",
      hint: "check the path; holdfast init --config gone.toml creates one"),
    Mistake(
      "a time without a unit, as a flag", .flags(["--debounce", "250"]),
      "--debounce '250' is invalid: it is not a time with a unit, such as 500ms, 5s, 2min or 1h",
      hint: "use a time with a unit, such as 500ms, 5s, 2min or 1h; holdfast config check --help lists its options"),
    Mistake(
      "a mode that does not exist", .flags(["--mode", "both"]),
      "--mode 'both' is invalid: it is not change, schedule or hybrid",
      hint: "write hybrid; holdfast config check --help lists its options"),
    Mistake(
      "a schedule without quotes", .flags(["--schedule", "0"]),
      "--schedule is '0', column 2: of the five fields, hour, day of month, month and weekday are missing",
      hint: "* is any: '0 * * * *'; holdfast config check --help lists its options"),
    Mistake(
      "a folder that no shell replaced", .flags(["--backup-dir=~/backups"]),
      "--backup-dir is \"~/backups\", but the shell did not replace the ~",
      hint: "put a space before it instead of =, or write ./~/backups if that is its name"),
    Mistake(
      "a file that is not there", .flags(["--config", "gone.toml"]),
      "there is no file gone.toml, which --config names",
      hint: "check the path; holdfast init --config gone.toml creates one"),
    Mistake(
      "a file of variables that is not there", .flags(["--env-file", "gone.env"]),
      "there is no file gone.env, which --env-file names",
      hint: "check the path"),
    Mistake(
      "a database that is not configured", .flags(["--database", ""]),
      "--database is empty",
      hint: "name a database, or omit it; holdfast config check --help lists its options"),
  ]
}
