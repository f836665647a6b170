import ArgumentParser
import BackupEngine

/// `holdfast generate-manual`, for builds and packages.
struct GenerateManual: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate-manual", abstract: "Write the manual pages into a folder.",
    discussion: """
      The pages are holdfast(1), holdfast-agent(8) and holdfast.toml(5). A page that exists is replaced.

      Examples:
        holdfast generate-manual contrib/man
      """, shouldDisplay: false)

  @Argument(help: "The folder, which must exist.", completion: .directory)
  var folder: String

  func run() throws {
    let files = SystemFileOperations()
    for (name, text) in Manual.pages {
      let path = "\(folder)/\(name)"
      try files.unlink("\(path).new")
      let file = try files.open("\(path).new", .createNew)
      defer { files.close(file) }
      try Array(text.utf8).withUnsafeBytes { try files.write(file, $0, at: 0) }
      if var attributes = try files.status("\(path).new")?.attributes {
        attributes.permissions = 0o644
        _ = try files.setAttributes(file, attributes)
      }
      try files.rename("\(path).new", to: path)
    }
  }
}
