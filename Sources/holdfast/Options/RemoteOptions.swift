import ArgumentParser
import BackupPolicy
import Replication

/// The targets to read backups from, instead of the backup folder.
struct RemoteOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Read from this target: s3://bucket/prefix, or the path of a folder; may be repeated.", valueName: "url"))
  var from: [String] = []

  @Option(
    help: ArgumentHelp("The repository in the target, if there are several: the beginning of its ID.", valueName: "id"))
  var repository: String?

  /// Whether backups are read from targets.
  var isUsed: Bool { !from.isEmpty }

  /// - Throws: `usage` if there are several targets: what one of them lacks, another would have.
  func requireOne(for command: String) throws {
    guard from.count > 1 else { return }
    throw HoldfastError(
      .usage, "\(command) is about the copies in one target, and --from names \(from.count)",
      hint: "run it once for each target")
  }

  /// - Parameters:
  ///   - all: whether the command is about several databases.
  ///   - flag: the flag that makes it so.
  /// - Throws: `usage` if another option has no effect without `--from`, or is not possible with it.
  func check(_ newest: NewestOptions? = nil, all: Bool = false, flag: String = "--all") throws {
    guard !isUsed || !all else {
      throw HoldfastError(
        .usage, "--from is about one database, and \(flag) about several", hint: "leave one of them out")
    }
    guard !isUsed, repository != nil || newest?.isUsed ?? false else { return }
    throw HoldfastError(
      .usage, "--repository, --at-least and --max-age are about a target, and --from does not name one",
      hint: "add --from URL, such as --from s3://bucket/prefix")
  }
}

/// The least that the newest backup in a target must be, because a target cannot prove that it shows
/// everything.
struct NewestOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "With --from: fail if the newest backup there is older than this one: its number or its ID.", valueName: "backup")
  )
  var atLeast: String?

  @Option(
    help: ArgumentHelp("With --from: fail if the newest backup there is older, such as 1h.", valueName: "span"))
  var maxAge: String?

  var isUsed: Bool { atLeast != nil || maxAge != nil }

  /// - Throws: `usage` for a value that is not valid.
  func expectation() throws -> NewestExpectation {
    var expectation = NewestExpectation()
    if let atLeast {
      if let number = Int64(atLeast), number > 0 {
        expectation.sequence = number
      } else if let id = PointID(atLeast) {
        expectation.id = id
      } else {
        throw HoldfastError(
          .usage, "--at-least is \(atLeast.shortened), which is neither a number nor an ID",
          hint: "use the number or the ID of the newest backup that you know of, such as 431")
      }
    }
    if let maxAge {
      guard let span = TimeSpan(argument: maxAge), span.milliseconds > 0 else {
        throw HoldfastError(
          .usage, "--max-age is \(maxAge.shortened), which is not a time span",
          hint: "use a number and a unit: 90min, 1h, 2d")
      }
      expectation.maximumAge = span.milliseconds
    }
    return expectation
  }
}
