import ArgumentParser
import BackupEngine
import BackupPolicy
import Replication
import Wording

/// The backup to which a command applies, named by its ID or by a time.
struct PointOptions: ParsableArguments {
  @Argument(help: "The backup's ID, a unique prefix of it, or latest.", completion: BackupCompletion.ids)
  var id: String?

  @Option(
    help: ArgumentHelp(
      "The newest backup that is not after this time, such as 14:03, 'yesterday 14:03', '2026-11-22 14:03' or '2 hours ago'.",
      valueName: "time"))
  var at: String?
}

extension PointOptions {
  /// - Parameter command: its name, for the message.
  /// - Throws: `usage` unless the backup is named in exactly one way.
  func choose(
    _ selection: Selection, _ engine: Engine, _ command: String
  ) throws -> ChosenPoint {
    try PointReference(id: id, at: at).choose(selection, engine, command)
  }
}

/// The backup that a person named.
struct PointReference {
  var id: String?
  var at: String?

  /// See ``PointOptions/choose(_:_:_:)``.
  func choose(
    _ selection: Selection, _ engine: Engine, _ command: String
  ) throws -> ChosenPoint {
    switch (id, at) {
    case (let id?, nil):
      if let moment = try self.moment(id, selection, engine) {
        return try choose(moment, engine, selection.settings.zone())
      }
      return ChosenPoint(point: try engine.point(id), choice: nil, zone: selection.zone)
    case (nil, let at?): return try choose(at, selection, engine)
    default: throw Self.unclear(command)
    }
  }

  /// The same for a backup in a target.
  ///
  /// - Throws: `usage` unless the backup is named in exactly one way.
  func remote(_ selection: Selection, _ engine: Engine, _ command: String) throws -> RemoteReference {
    switch (id, at) {
    case ("latest"?, nil): return .latest
    case (let id?, nil): return try moment(id, selection, engine).map { .moment($0) } ?? .named(id)
    case (nil, let at?):
      let zone = try selection.settings.zone()
      switch try PointInTime(at, name: "--at", zone: zone, now: engine.environment.now()) {
      case .latest: return .latest
      case .moment(let moment): return .moment(moment)
      }
    default: throw Self.unclear(command)
    }
  }

  private static func unclear(_ command: String) -> HoldfastError {
    HoldfastError(
      .usage, "\(command) needs either the ID of a backup or --at TIME",
      hint: "holdfast \(command) latest selects the newest; holdfast list shows the IDs")
  }

  private func choose(_ text: String, _ selection: Selection, _ engine: Engine) throws -> ChosenPoint {
    let zone = try selection.settings.zone()
    switch try PointInTime(text, name: "--at", zone: zone, now: engine.environment.now()) {
    case .latest: return ChosenPoint(point: try engine.point("latest"), choice: nil, zone: zone)
    case .moment(let moment): return try choose(moment, engine, zone)
    }
  }

  private func choose(_ moment: Timestamp, _ engine: Engine, _ zone: ZoneRules) throws -> ChosenPoint {
    let (point, choice) = try engine.point(notAfter: moment, zone: zone)
    return ChosenPoint(point: point, choice: choice, zone: zone)
  }

  /// Reads a time in the place of an ID, as in `holdfast diff 14:03 14:10`: no ID begins like a
  /// time. Nil for anything else.
  private func moment(_ text: String, _ selection: Selection, _ engine: Engine) throws -> Timestamp? {
    guard !text.hasPrefix("b"), let zone = try? selection.settings.zone(),
      case .moment(let moment)? = try? PointInTime(text, name: "--at", zone: zone, now: engine.environment.now())
    else { return nil }
    return moment
  }
}
