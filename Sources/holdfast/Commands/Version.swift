import ArgumentParser
import BackupEngine

/// `holdfast version`
struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Show the version of holdfast and of SQLite.")

  @Flag(help: "Print one JSON document.")
  var json = false

  func run() throws {
    try Console(json: json, quiet: false).show(
      .object(["version": .string(holdfastVersion), "sqlite_version": .string(sqliteLibraryVersion)]),
      [Self.text])
  }

  /// `holdfast 0.1.0 (SQLite 3.40.1)`
  static var text: String { "holdfast \(holdfastVersion) (SQLite \(sqliteLibraryVersion))" }
}
