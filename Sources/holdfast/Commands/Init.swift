import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast init`
struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the folder of backups, and a key file unless there is one.")

  @OptionGroup var options: ServiceOptions

  func run() throws {
    let key = KeyFile(path: try keyPath(), files: SystemFileOperations())
    let created = try key.createUnlessPresent()
    let folder = try options.service(.optional).repository(create: true).folder
    try options.console.show(
      .object([
        "backup_dir": .string(folder), "key_file": .string(key.path), "key_created": .bool(created),
      ]), options.output.quiet ? [] : lines(folder, key.path, created: created))
  }

  private func lines(_ folder: String, _ key: String, created: Bool) -> [String] {
    var fields = FieldList()
    fields.add("Backups", folder)
    fields.add("Key file", created ? "\(key) (new)" : "\(key) (was there already and is kept as it is)")
    return fields.lines(indent: 0) + [
      "", "Keep a copy of the key file somewhere else, not beside the backups: without it no backup can be read.",
    ]
  }

  private func keyPath() throws -> String {
    if let path = options.keyFile ?? options.environment[.keyFile]
      ?? StandardFolders(environment: options.environment).keyFile
    {
      return path
    }
    throw HoldfastError(.usage, "there is no home folder to put a key file in", hint: "name one with --key-file")
  }
}
