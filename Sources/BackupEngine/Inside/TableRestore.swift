import BackupPolicy
import Names
import SQLitePages

/// Copies some of a backup's tables into another database: opened, planned, and then carried out or
/// not.
package final class TableRestore {
  package let plan: TableRestorePlan
  private let scratch: ScratchPoint
  private let environment: EngineEnvironment
  private let progress: Progress

  /// Reads the backup and decides.
  ///
  /// - Throws: `RestoreRefusal`; `HoldfastError`: the errors of ``ScratchPoint``, `notADatabase`
  ///   and others for the target.
  package init(
    _ request: TableRestoreRequest, _ scratch: ScratchPoint, database: String?, _ environment: EngineEnvironment,
    progress: Progress
  ) throws {
    var request = request
    request.target = request.target.resolvingLinks
    self.scratch = scratch
    self.environment = environment
    self.progress = progress
    let facts = TableRestoreFacts(
      source: try onDatabase { try Self.entries(scratch.connection) },
      target: try Self.targetEntries(request.target, environment),
      targetIsDatabase: try database.map { try Self.isSame(request.target, $0.resolvingLinks, environment.files) }
        ?? false)
    plan = try TableRestorePolicy.decide(request, facts)
  }

  /// Carries the plan out: all of it, or nothing.
  ///
  /// - Returns: rows copied, by table.
  /// - Throws: `HoldfastError`: `factsChanged` if the target has changed since the plan was made,
  ///   `busy`, `noSpace`, `interrupted`, `failed` if a table needs extensions that only the
  ///   application has.
  package func run() throws -> [Identifier: Int64] {
    do {
      return try plan.createsTarget ? intoNewFile() : onDatabase { try intoExisting() }
    } catch let error as HoldfastError where error.code != .interrupted {
      throw error.during(
        "restore \(plan.tables.map(\.name.description).joined(separator: ", ")) of \(plan.request.pointID)")
    }
  }

  private func copy(into target: DatabaseConnection) -> TableCopy {
    TableCopy(from: scratch.connection, into: target) { [progress] in try progress.check() }
  }

  private var names: [Identifier] { plan.tables.map(\.name) }

  private func intoExisting() throws -> [Identifier: Int64] {
    let path = plan.request.target
    let target = try DatabaseConnection(path: path, access: .writer, busyTimeout: environment.busyTimeout)
    defer { target.close() }
    if let problem = target.schemaProblem {
      // Indexes and triggers that SQLite cannot read would be missing in the copy.
      throw HoldfastError(
        .refused, "tables cannot be copied into \(path): SQLite cannot read its schema: \(problem.words)",
        hint: "holdfast restore \(plan.request.pointID) --to PATH restores all of it to a new file")
    }
    return try copy(into: target).run(names) { [plan] in
      guard try Self.entries(target) == plan.facts.target else {
        throw HoldfastError(
          .factsChanged, "the schema of \(path) has changed since the restore was planned", hint: "run it again")
      }
    }
  }

  /// Writes a file under a temporary name until it is complete and flushed.
  private func intoNewFile() throws -> [Identifier: Int64] {
    let (path, files) = (plan.request.target, environment.files)
    let prefix = Leftovers.prefix(beside: path)
    try Leftovers.remove(in: path.parentPath, beginning: prefix, files)
    return try Leftovers.withFile("\(path.parentPath)/\(prefix)", files, .createPrivate) { file in
      let counts = try onDatabase { try fill(file.path) }
      try progress.check()
      let ownership = try FileOwnershipFacts(path, scratch.point, environment)
      try files.setAttributes(file, RestoredOwnership(newFile: ownership).attributes)
      try files.sync(file)
      do {
        try files.renameNew(file.path, to: path)
      } catch let error as HoldfastError where (try? files.status(path)) != nil {
        throw HoldfastError(.factsChanged, "\(path) was created by another process", hint: "run it again", cause: error)
      }
      try files.syncFolder(path.parentPath)
      return counts
    }
  }

  private func fill(_ path: String) throws -> [Identifier: Int64] {
    let target = try DatabaseConnection(path: path, access: .scratch)
    defer { target.close() }
    // Without a journal there is no second file, and no rollback is needed: on failure the file is
    // removed.
    try target.execute("PRAGMA journal_mode = OFF")
    let copy = copy(into: target)
    try copy.adoptShape()
    return try copy.run(names) {}
  }

  private static func targetEntries(_ path: String, _ environment: EngineEnvironment) throws -> [SchemaEntry]? {
    guard try environment.files.status(path) != nil else { return nil }
    return try onDatabase {
      let target = try DatabaseConnection(path: path, access: .observer, busyTimeout: environment.busyTimeout)
      defer { target.close() }
      return try entries(target)
    }
  }

  private static func isSame(_ path: String, _ database: String, _ files: any FileOperations) throws -> Bool {
    if path.isExactly(database) { return true }
    guard let left = try files.status(path), let right = try files.status(database) else { return false }
    return left.device == right.device && left.inode == right.inode
  }

  private static func entries(_ connection: DatabaseConnection) throws -> [SchemaEntry] {
    try connection.schema().compactMap { object in
      guard !object.isInternal else { return nil }
      switch object.type {
      case "table" where object.isVirtualTable:
        return SchemaEntry(kind: .virtualTable, name: object.name, table: object.table)
      case "table":
        let facts = try connection.facts(ofTable: object.name)
        return SchemaEntry(
          kind: facts.isShadow ? .shadowTable : .table, name: object.name, table: object.table, refersTo: facts.refersTo
        )
      default:
        return SchemaEntry.Kind(rawValue: object.type).map {
          SchemaEntry(kind: $0, name: object.name, table: object.table)
        }
      }
    }
  }
}
