import Glibc
import TestSupport

/// The program under a user who is not root.
enum Unprivileged {
  /// If the checkout is in a folder that others may not enter, this user cannot run the program
  /// that was built there.
  static let isPossible = (try? Shell.run(command[0], Array(command.dropFirst()) + ["--version"]).status) == 0

  private static let command =
    (geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : ["env"]) + [CommandBed.program]

  static func run(_ bed: CommandBed, _ arguments: [String]) throws -> ProgramResult {
    try Shell.run(
      command[0], Array(command.dropFirst()) + arguments, environment: bed.environment(), in: bed.folder.path)
  }
}
