import BackupPolicy
import Logging
import Synchronization
import TestSupport
import Testing

@testable import BackupEngine

@Suite("The history of drills", .ownThread)
struct DrillHistoryTests {
  private func drill(_ bed: TestBed, _ reference: String = "latest") throws -> DrillRecord {
    let engine = bed.engine()
    return try engine.drill(engine.point(reference), DrillRequest())
  }

  /// A backup that compaction may merge.
  private var change: CreateRequest {
    var request = CreateRequest()
    request.reason.type = .change
    return request
  }

  private func proven(_ bed: TestBed) throws -> PointID? { try bed.engine().drillFigures().newestProven?.id }

  @Test("A replaced or suspect archive is not proven, and one merged into the same content is")
  func binding() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(.key, change)
    let engine = bed.engine()
    let full = try drill(bed, points[0].id.text)
    let newest = try drill(bed)
    var stored = try engine.point(points[0].id.text)
    #expect(full.subject.isSame(as: stored))
    stored.metadata.checksum = points[1].checksum
    #expect(!full.subject.isSame(as: stored), "the archive of a full, byte for byte")
    var incremental = try engine.point(points[3].id.text)
    incremental.metadata.checksum = points[1].checksum
    #expect(newest.subject.isSame(as: incremental), "of an incremental the content")
    incremental.metadata.digest = points[1].digest
    #expect(!newest.subject.isSame(as: incremental))
    for status in [BackupStatus.suspect, .anomalous, .failed, .unauthenticated] {
      var doubtful = try engine.point(points[3].id.text)
      doubtful.metadata.status = status
      #expect(DrillFigures([newest], [doubtful]).newestProven == nil, "\(status)")
    }
    // The points between are merged, and the newest one has another archive.
    let before = try engine.point(points[3].id.text).metadata.checksum
    bed.time.advance(milliseconds: 40 * 86_400_000)
    let outcome = try engine.compact(CompactionPolicy())
    #expect(!outcome.done.isEmpty)
    #expect(try engine.point(points[3].id.text).metadata.checksum != before)
    #expect(try proven(bed) == points[3].id && drill(bed).passed)
  }

  @Test("The newest proven point survives retention and compaction until a newer one is proven")
  func kept() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(.key, change)
    _ = try drill(bed, points[2].id.text)
    bed.time.advance(milliseconds: 40 * 86_400_000)
    let engine = bed.engine()
    _ = try engine.compact(CompactionPolicy())
    #expect(try engine.list().map(\.id) == [points[3].id, points[2].id, points[0].id])
    for _ in 1...2 {
      bed.time.advance(milliseconds: 86_400_000)
      let full = try engine.create(CreateRequest())
      _ = try engine.verify(full.id.text)
    }
    _ = try engine.cleanup(RetentionPolicy(keepLast: 1))
    #expect(try engine.list().map(\.id).suffix(2) == [points[2].id, points[0].id] && proven(bed) == points[2].id)
    let newest = try drill(bed).subject.id
    _ = try engine.cleanup(RetentionPolicy(keepLast: 1))
    #expect(try engine.list().map(\.id) == [newest])
  }

  @Test("A torn, empty, foreign or other version's record is passed over with a warning and hides no other record")
  func torn() throws {
    let bed = try TestBed()
    let point = try bed.makeChain(incrementals: 0)[0]
    let record = try drill(bed)
    let whole = record.json.encoded()
    let damaged = [Array(whole.dropLast(30)), [], Array("[1]".utf8), Array("{\"number\": 3}".utf8)]
    for (number, bytes) in damaged.enumerated() {
      _ = try bed.folder.write("backups/.metadata/drills/drill_20231117_00000\(number).json", bytes)
    }
    for name in ["backup_20231117_000000.json", "drill_x.json", "notes.txt", ".tmp-drill_20231117_000000.json"] {
      _ = try bed.folder.write("backups/.metadata/drills/" + name, whole)
    }
    let log = Lines()
    var environment = bed.environment()
    environment.logger = log.logger
    let engine = Engine(
      database: bed.database, folder: bed.backups, credentials: TestBed.credentials(.key), environment: environment)
    #expect(try engine.drillFigures().drills == [record])
    #expect(log.all.count { $0.contains("is not a record of a drill and is skipped") } == 4, "\(log.all)")
    // No command takes any of them for a point or fails on the folder.
    #expect(try engine.list().map(\.id) == [point.id] && engine.cleanup(RetentionPolicy(keepLast: 1)).remove == [])
    #expect(try recovered(bed, point))
    bed.time.advance(milliseconds: 1000)
    #expect(try drill(bed).number == 2)
    let left = try SystemFileOperations().list(bed.backups + "/.metadata/drills").filter { $0.hasPrefix(".tmp-") }
    #expect(left == [], "who holds the lock clears up what a killed run left")
  }

  private func recovered(_ bed: TestBed, _ point: PointMetadata) throws -> Bool {
    try bed.recovered(point.id) == bed.restored(point.id)
  }

  @Test("The history follows its numbers, whatever the clock shows, and gives each second enough names")
  func clockSetBack() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 0)
    let first = [try drill(bed), try drill(bed)]
    bed.time.advance(milliseconds: -86_400_000)
    let last = try drill(bed)
    #expect(try bed.engine().drillFigures().drills == [last, first[1], first[0]] && last.number == 3)
    let names = try SystemFileOperations().list(bed.backups + "/.metadata/drills").sorted()
    #expect(names == ["drill_20231115_143022.json", "drill_20231116_143022.json", "drill_20231116_143022_001.json"])
  }

  @Test("The history keeps the newest drill, and the newest that passed however many failed since")
  func pruned() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 0)
    let repository = try bed.engine().repository()
    let history = DrillHistory(repository: repository)
    let passed = try drill(bed)
    var failed = passed
    failed.failure = .init(step: .restore, code: .noSpace, message: "no room")
    // As many as fit, without the cost of adding each.
    for number in 2...DrillHistory.limit {
      failed.number = number
      let time = bed.time.now().adding(seconds: Int64(number))
      let name = "drill_\(PointID(at: time).text.dropFirst(7)).json"
      _ = try bed.folder.write("backups/.metadata/drills/" + name, failed.json.encoded())
    }
    for _ in 1...3 { _ = try history.append(failed, patience: LockPatience(milliseconds: 500)) }
    let kept = try history.load()
    #expect(kept.count == DrillHistory.limit + 1 && kept.last == passed && kept[kept.count - 2].number == 4)
    _ = try history.append(passed, patience: LockPatience(milliseconds: 500))
    #expect(try history.load().count == DrillHistory.limit && history.load().count(where: \.passed) == 1)
  }

  @Test("The measured times are those of the last drill and the median of the last ten that passed")
  func figures() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 0)
    let model = try drill(bed)
    func record(_ number: Int, _ restore: Int64, passes: Bool = true) -> DrillRecord {
      var record = model
      (record.number, record.restoreMS, record.checkMS) = (number, restore, 5)
      if !passes { record.failure = .init(step: .assertions, code: .verificationFailed, message: "x") }
      return record
    }
    let records = (1...12).reversed().map { record($0, Int64($0) * 10) }
    let figures = DrillFigures([record(13, 1, passes: false)] + records, [])
    #expect(figures.lastRecovery?.restore == 120 && figures.lastRecovery?.check == 5)
    #expect(figures.medianRecovery == 75 && figures.failures == 1)
    #expect(DrillFigures([], []).medianRecovery == nil && DrillFigures([], []).lastRecovery == nil)
  }
}

@Suite("A drill that dies or fails on the way", .ownThread, .serialized)
struct DrillFaultTests {
  /// In every case no decrypted byte is left for longer than until the next run, the history
  /// contains whole records alone, and it includes a drill only if it was reported as passed or was
  /// about to be.
  private static let sweep = FaultSweep(
    prepare: { try $0.makeChain(incrementals: 1, rows: 20).last?.id },
    work: { engine, id in
      let record = try engine.drill(engine.point(id!.text), DrillRequest())
      if let failure = record.failure { throw HoldfastError(failure.code, failure.message) }
      // If the drill passed and could not be recorded, this is reported.
      if record.number == 0 { throw HoldfastError(.noSpace, record.notes.joined()) }
    },
    check: { bed, finished in
      let engine = bed.engine()
      let drills = try engine.drillFigures().drills
      guard drills.count <= 1 else { throw BrokenPromise("\(drills.count) drills") }
      if finished, drills.first?.passed != true { throw BrokenPromise("a drill that passed is not there") }
      // The next run clears up.
      guard try engine.drill(engine.point("latest"), DrillRequest()).passed else { throw BrokenPromise("it failed") }
      let left = try Shell.run("find", [bed.folder.path, "-name", ".tmp-*"]).stdout
      guard left.isEmpty else { throw BrokenPromise("left over: \(left)") }
      try bed.requireSoundRepository(points: 2...2)
    })

  @Test("A killed drill leaves no record and no decrypted bytes", arguments: [FaultSweep.Kind.killed, .tornKill])
  func killed(kind: FaultSweep.Kind) throws { try Self.sweep.sweep(kind) }

  @Test("A drill reports that there is no room", arguments: [FaultSweep.Kind.noSpace, .diskStaysFull])
  func noRoom(kind: FaultSweep.Kind) throws { try Self.sweep.sweep(kind) }

  @Test("After a power loss a drill is in the history if it was reported there")
  func powerLoss() throws { try Self.sweep.powerLoss(seeds: 0..<3) }
}

/// The logged messages.
private final class Lines: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }

  var logger: Logger { Logger(label: "test") { [self] _ in Handler(lines: self) } }

  private struct Handler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.lines.withLock { $0.append("\(event.message)") } }
  }
}
