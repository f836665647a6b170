import BackupEngine
import BackupPolicy
import Glibc
import SQLitePages
import TestSupport
import Testing

/// Runs one piece of work with a fault at every step that it takes, and checks the result.
///
/// A *world* is made anew for each fault: a folder with a database, a repository and a point to restore.
struct FaultSweep: Sendable {
  /// Prepares the world and returns the point that the work needs.
  var prepare: @Sendable (TestBed) throws -> PointID?
  /// The work, through an engine whose file operations fail.
  var work: @Sendable (Engine, PointID?) throws -> Void
  /// The conditions that must be true afterwards, read with sound file operations. `finished` is
  /// true if the work reported success.
  var check: @Sendable (TestBed, _ finished: Bool) throws -> Void

  enum Kind: String, CaseIterable, Sendable {
    case killed
    case tornKill
    case inputOutputError
    case noSpace
    case diskStaysFull
  }

  func cleanRun() throws -> StepFaults {
    let bed = try TestBed()
    let point = try prepare(bed)
    let faults = StepFaults()
    try work(bed.engine(files: faults), point)
    try check(bed, true)
    return faults
  }

  /// - Parameter file: sweeps only steps that concern files of such a name, and the steps after
  ///   them; the rest is swept in another test.
  func sweep(_ kind: Kind, near file: String? = nil) throws {
    let fault = Self.fault(kind)
    let clean = try cleanRun()
    for step in clean.places(for: fault) where clean.isNear(file, step) {
      let bed = try TestBed()
      let point = try prepare(bed)
      let faults = StepFaults(failAt: step, fault)
      let place = { "\(kind.rawValue) at step \(step): \(faults.steps.suffix(3).joined(separator: "; "))" }
      do {
        try work(bed.engine(files: faults), point)
        try expecting(place()) { try check(bed, true) }
      } catch let error {
        try expecting(place()) { try check(bed, false) }
        if kind == .noSpace || kind == .diskStaysFull {
          let code = (error as? HoldfastError)?.code
          #expect(code == .noSpace, "\(place()): \(error)")
        }
      }
    }
  }

  /// - Parameter file: as in ``sweep(_:near:)``.
  func powerLoss(seeds: Range<UInt64>, near file: String? = nil) throws {
    let counting = StepFaults()
    let world = try TestBed()
    try work(world.engine(files: counting), prepare(world))
    for step in counting.placesForPowerLoss where counting.isNear(file, step) {
      for seed in seeds {
        let bed = try TestBed()
        let point = try prepare(bed)
        let loss = PowerLoss(root: bed.folder.path)
        let faults = StepFaults(wrapping: loss, failAt: step)
        let finished = (try? work(bed.engine(files: faults), point)) != nil
        try loss.crash(seed: seed)
        try expecting("power lost at step \(step), seed \(seed): \(faults.steps.suffix(3).joined(separator: "; "))") {
          try check(bed, finished)
        }
      }
    }
  }

  private func expecting(_ place: String, _ body: () throws -> Void) throws {
    do { try body() } catch { Issue.record("\(place): \(error)") }
  }

  private static func fault(_ kind: Kind) -> Fault {
    switch kind {
    case .killed: .kill()
    case .tornKill: .kill(torn: true)
    case .inputOutputError: .error(EIO)
    case .noSpace: .error(ENOSPC)
    case .diskStaysFull: .error(ENOSPC, persistent: true)
    }
  }
}

extension StepFaults {
  fileprivate func isNear(_ file: String?, _ step: Int) -> Bool {
    guard let file else { return true }
    // Steps count from 1; the last power loss comes after all of them.
    let around = steps.dropFirst(max(0, step - 2)).prefix(2)
    return step > steps.count || around.contains { $0.contains(file) }
  }
}

/// A broken promise, with the state that broke it.
struct BrokenPromise: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

extension TestBed {
  /// Every listed point verifies and is whole; nothing unfinished is listed, and the next command
  /// removes all left-over files.
  func requireSoundRepository(points expected: ClosedRange<Int>, _ secret: TestBed.Secret = .key) throws {
    guard try UnflushedFileOperations().status(backups) != nil else {
      if expected.contains(0) { return }
      throw BrokenPromise("the repository is gone")
    }
    let engine = engine(secret)
    let points = try engine.list()
    guard expected.contains(points.count) else {
      throw BrokenPromise("\(points.count) points are listed: \(points.map(\.name.text))")
    }
    for point in points {
      let verification = try engine.verify(point.id.text)
      guard verification.verified else { throw BrokenPromise("\(point.id) does not verify: \(verification.errors)") }
    }
    // Verifying took the exclusive lock, which clears up.
    let left = try Shell.run("find", [backups, "-name", ".tmp-*"]).stdout
    guard points.isEmpty || left.isEmpty else { throw BrokenPromise("left over: \(left)") }
  }

  /// The database contains one of these states, whole.
  func requireDatabase(_ allowed: [String]) throws {
    let marker = try self.marker() ?? "nothing"
    guard allowed.contains(marker) else { throw BrokenPromise("the database holds \(marker)") }
    guard case .passed = try integrity() else { throw BrokenPromise("the database fails its integrity check") }
    let connection = try DatabaseConnection(path: database, access: .observer)
    defer { connection.close() }
    let rows = try connection.integer("SELECT count(*) FROM entries WHERE text LIKE '%'") ?? 0
    guard rows == (marker == "first" ? 60 : 80) else { throw BrokenPromise("\(rows) rows beside \(marker)") }
  }
}
