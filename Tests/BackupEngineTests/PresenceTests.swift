import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A disk that is not mounted, a folder that was removed, a disk that comes back.
@Suite("A repository that this host knows", .ownThread)
struct PresenceTests {
  private func request(_ secret: TestBed.Secret) -> CreateRequest {
    var request = CreateRequest()
    request.archive.encrypt = secret != .none
    return request
  }

  private func world(_ secret: TestBed.Secret) throws -> (bed: TestBed, points: [PointMetadata]) {
    let bed = try TestBed()
    try bed.makeDatabase()
    let points = try (0..<2).map { _ in
      bed.time.advance(seconds: 60)
      return try bed.engine(secret).create(request(secret))
    }
    return (bed, points)
  }

  private func move(_ from: String, _ to: String, in bed: TestBed) throws {
    #expect(try Shell.run("mv", [bed.folder.path(from), bed.folder.path(to)]).status == 0)
  }

  @Test(
    "If the folder is gone or an empty one has its place, backups are refused and nothing is created",
    arguments: [
      TestBed.Secret.key, .password, .none,
    ])
  func away(secret: TestBed.Secret) throws {
    let (bed, points) = try world(secret)
    try move("backups", "away", in: bed)
    for isEmptyFolder in [false, true] {
      if isEmptyFolder { try SystemFileOperations().makeFolder(bed.backups) }
      for kind in [RequestedKind.full, .incremental] {
        let error = #expect(throws: HoldfastError.self) { try bed.engine(secret).store(request(secret), kind: kind) }
        #expect(error?.code == .refused && error?.hint?.contains("--new-repository") == true)
      }
      #expect(throws: HoldfastError.self) { try bed.engine(secret).list() }
      #expect(throws: HoldfastError.self) { try bed.engine(secret).repository(create: true) }
      let isThere = try SystemFileOperations().status(bed.backups) != nil
      #expect(isThere == isEmptyFolder)
    }
    #expect(try SystemFileOperations().list(bed.backups).isEmpty)
    #expect(try Shell.run("rmdir", [bed.backups]).status == 0)
    try move("away", "backups", in: bed)
    bed.time.advance(seconds: 60)
    #expect(try bed.engine(secret).create(request(secret)).sequence == 3)
    #expect(try bed.engine(secret).list().filter(\.isAuthenticated).count == points.count + 1)
  }

  @Test(
    "An engine that keeps its repository open notices that another folder has its place",
    arguments: [TestBed.Secret.key, .none])
  func replacedWhileOpen(secret: TestBed.Secret) throws {
    let (bed, points) = try world(secret)
    let engine = bed.engine(secret).keepingOpen()
    #expect(try engine.list().count == points.count)
    try move("backups", "away", in: bed)
    try SystemFileOperations().makeFolder(bed.backups)
    let error = #expect(throws: HoldfastError.self) { try engine.create(request(secret)) }
    #expect(error?.code == .refused)
    #expect(try SystemFileOperations().list(bed.backups).isEmpty)
    #expect(try Shell.run("rmdir", [bed.backups]).status == 0)
    try move("away", "backups", in: bed)
    bed.time.advance(seconds: 60)
    #expect(try engine.create(request(secret)).sequence == 3)
  }

  @Test("A folder behind a link that leads nowhere is refused while the disk is away")
  func awayBehindLink() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    try SystemFileOperations().makeFolders(bed.folder.path("disk/deep"))
    #expect(try Shell.run("ln", ["-s", "disk/deep/backups", bed.backups]).status == 0)
    try SystemFileOperations().makeFolder(bed.folder.path("disk/deep/backups"))
    _ = try bed.engine().create(CreateRequest())
    try move("disk", "away", in: bed)
    let error = #expect(throws: HoldfastError.self) { try bed.engine().create(CreateRequest()) }
    #expect(error?.code == .refused)
  }

  @Test("A folder behind a link that leads nowhere is refused with the link also if this host does not know it")
  func unknownBehindLink() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    #expect(try Shell.run("ln", ["-s", "disk/backups", bed.backups]).status == 0)
    let problem = "\(bed.backups) is a symbolic link to disk/backups, which does not exist"
    for folder in [bed.backups, "\(bed.backups)/app"] {
      let engine = Engine(
        database: bed.database, folder: folder, credentials: TestBed.credentials(.key), environment: bed.environment())
      for run in [{ _ = try engine.list() }, { _ = try engine.create(CreateRequest()) }] {
        let error = #expect(throws: HoldfastError.self) { try run() }
        #expect(error?.code == .refused && error?.message == "there is no backup folder \(folder): \(problem)")
        #expect(error?.hint?.hasSuffix("remove the link: rm \(bed.backups)") == true)
      }
    }
    try SystemFileOperations().makeFolders(bed.folder.path("disk/backups"))
    _ = try bed.engine().create(CreateRequest())
  }

  @Test("A backup folder behind a link that leads back to itself is a wrong setting, reported with the link")
  func loopingLink() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let other = bed.folder.path("other")
    #expect(try Shell.run("ln", ["-s", other, bed.backups]).status == 0)
    #expect(try Shell.run("ln", ["-s", bed.backups, other]).status == 0)
    for folder in [bed.backups, "\(bed.backups)/app"] {
      let engine = Engine(
        database: bed.database, folder: folder, credentials: TestBed.credentials(.key), environment: bed.environment())
      for run in [{ _ = try engine.list() }, { _ = try engine.create(CreateRequest()) }] {
        let error = #expect(throws: HoldfastError.self) { try run() }
        #expect(error?.code == .usage && error?.message.hasSuffix("which leads back to it") == true, "\(error as Any)")
        #expect(error?.hint?.contains("rm \(bed.backups), or name another folder") == true)
      }
    }
  }

  @Test(
    "Something else in place of the folder of this host's records is refused",
    arguments: ["ln -s nowhere", "ln -s elsewhere", "touch"], [true, false])
  func stateFolder(command: String, isParent: Bool) throws {
    let (bed, _) = try world(.key)
    var environment = bed.environment()
    let place = bed.folder.path("elsewhere")
    environment.stateFolder = isParent ? "\(place)/holdfast" : place
    let words = command.split(separator: " ").map(String.init)
    #expect(try Shell.run(words[0], Array(words.dropFirst()) + [place]).status == 0)
    let engine = Engine(
      database: bed.database, folder: bed.backups, credentials: TestBed.credentials(.key), environment: environment)
    for run in [{ _ = try engine.list() }, { _ = try engine.create(CreateRequest()) }] {
      let error = #expect(throws: HoldfastError.self) { try run() }
      #expect(error?.code == .refused && error?.hint?.contains(place) == true)
      #expect(
        error?.message == "this host's records of its repositories cannot be read: \(place) is "
          + Self.words(command))
    }
  }

  private static func words(_ command: String) -> String {
    switch command {
    case "touch": "not a folder"
    case "ln -s nowhere": "a symbolic link to nowhere, which does not exist"
    default: "a symbolic link to elsewhere, which leads back to it"
    }
  }

  @Test("A new repository is begun under the lock")
  func lockedBeginning() throws {
    let (bed, _) = try world(.key)
    try move("backups", "away", in: bed)
    try SystemFileOperations().makeFolders("\(bed.backups)/.state")
    let files = SystemFileOperations()
    let lock = try files.open("\(bed.backups)/.state/lock", .lockFile)
    #expect(try files.lock(lock, exclusive: true, wait: false))
    let error = #expect(throws: HoldfastError.self) { try bed.engine().repository(create: true, beginsAnew: true) }
    #expect(error?.code == .busy)
    #expect(try files.status("\(bed.backups)/.state/repository.json") == nil)
    files.close(lock)
    _ = try bed.engine().repository(create: true, beginsAnew: true)
    #expect(try files.status("\(bed.backups)/.state/repository.json") != nil)
  }

  @Test(
    "If a link to the folder leads to another disk, the repository is absent and none is begun",
    arguments: [false, true])
  func linkMoved(isPlain: Bool) throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let secret: TestBed.Secret = isPlain ? .none : .key
    var request = CreateRequest()
    request.archive.encrypt = !isPlain
    for name in ["one", "two"] { try SystemFileOperations().makeFolder(bed.folder.path(name)) }
    let link = bed.folder.path("disk")
    #expect(try Shell.run("ln", ["-s", "one", link]).status == 0)
    let engine = Engine(
      database: bed.database, folder: "\(link)/backups", credentials: TestBed.credentials(secret),
      environment: bed.environment())
    let first = try engine.create(request)
    bed.time.advance(seconds: 60)
    #expect(try Shell.run("ln", ["-sfn", "two", link]).status == 0)
    let error = #expect(throws: HoldfastError.self) { try engine.create(request) }
    #expect(error?.code == .refused)
    #expect(try SystemFileOperations().status(bed.folder.path("two/backups")) == nil)
    // Begun on purpose, and back: both are this host's own.
    _ = try engine.repository(create: true, beginsAnew: true)
    let second = try engine.create(request)
    #expect(try engine.list().map(\.id) == [second.id])
    #expect(try Shell.run("ln", ["-sfn", "one", link]).status == 0)
    #expect(try engine.list().map(\.id) == [first.id])
    // A repository that was moved with its disk is there.
    guard !isPlain else { return }
    #expect(try Shell.run("mv", [bed.folder.path("one"), bed.folder.path("three")]).status == 0)
    #expect(try Shell.run("ln", ["-sfn", "three", link]).status == 0)
    #expect(try engine.list().map(\.id) == [first.id])
  }

  @Test(
    "If a repository is begun on purpose, the earlier backups and the new ones are this host's own",
    arguments: [
      TestBed.Secret.key, .password,
    ])
  func interlude(secret: TestBed.Secret) throws {
    let (bed, points) = try world(secret)
    try move("backups", "away", in: bed)
    _ = try bed.engine(secret).repository(create: true, beginsAnew: true)
    bed.time.advance(seconds: 60)
    let between = try bed.engine(secret).create(CreateRequest())
    #expect(between.sequence == 3 && between.repositoryID != points[0].repositoryID)
    try move("backups", "interlude", in: bed)
    try move("away", "backups", in: bed)
    bed.time.advance(seconds: 60)
    let after = try bed.engine(secret).create(CreateRequest())
    #expect(after.sequence == 4 && after.repositoryID == points[0].repositoryID)
    for name in [between.filename, ".metadata/\(between.id).json"] {
      _ = try bed.folder.write("backups/\(name)", bed.folder.read("interlude/\(name)") ?? [])
    }
    let listed = try bed.engine(secret).list()
    #expect(listed.count == 4 && listed.allSatisfy(\.isAuthenticated))
    for point in listed { #expect(try bed.engine(secret).verify(point.id.text).verified) }
    // The interlude's own folder is also known.
    try move("backups", "away", in: bed)
    try move("interlude", "backups", in: bed)
    #expect(try bed.engine(secret).list().map(\.id) == [between.id])
  }

  @Test("If another one was begun at its path, a moved repository is known by its ID")
  func formerElsewhere() throws {
    let (bed, points) = try world(.key)
    try move("backups", "old", in: bed)
    _ = try bed.engine(.key).repository(create: true, beginsAnew: true)
    bed.time.advance(seconds: 60)
    _ = try bed.engine(.key).create(CreateRequest())
    let old = Engine(
      database: bed.database, folder: bed.folder.path("old"), credentials: TestBed.credentials(.key),
      environment: bed.environment())
    #expect(try old.list().map(\.id) == points.map(\.id).reversed())
    #expect(try old.repository().hostState() != nil)
  }

  @Test("Another repository in the place of a known one is refused, and is taken over only with its key")
  func another() throws {
    let (bed, points) = try world(.key)
    try move("backups", "away", in: bed)
    let stranger = try TestBed()
    try stranger.makeDatabase()
    _ = try stranger.engine().create(CreateRequest())
    #expect(try Shell.run("cp", ["-r", stranger.backups, bed.backups]).status == 0)
    let error = #expect(throws: HoldfastError.self) { try bed.engine().create(CreateRequest()) }
    #expect(error?.code == .refused && error?.message.contains("another repository") == true)
    let wrong = Credentials(key: SecretBytes([UInt8](repeating: 7, count: 32)))
    #expect(throws: HoldfastError.self) { try bed.engine(wrong).repository(create: true, beginsAnew: true) }
    _ = try bed.engine().repository(create: true, beginsAnew: true)
    #expect(try bed.engine().repository().hostState()?.repositoryID != points[0].repositoryID)
  }

  @Test("If the last backup is removed by hand, the repository is still there", arguments: [TestBed.Secret.key, .none])
  func emptied(secret: TestBed.Secret) throws {
    let (bed, points) = try world(secret)
    for point in points { _ = try bed.engine(secret).delete(point.id.text) }
    #expect(try bed.engine(secret).list().isEmpty)
    bed.time.advance(seconds: 60)
    #expect(try bed.engine(secret).create(request(secret)).sequence == 3)
  }

  @Test("The state of older versions is read, and the present state survives a round trip")
  func state() throws {
    let (bed, points) = try world(.key)
    let names = try SystemFileOperations().list(bed.stateFolder).filter { $0.hasSuffix(".json") }
    #expect(names.count == 1)
    let path = "state/\(names[0])"
    guard case .object(var keys) = JSONValue(parsing: try bed.folder.read(path) ?? []) else {
      throw BrokenPromise("no state")
    }
    keys["former_repositories"] = nil
    _ = try bed.folder.write(path, JSONValue.object(keys).encoded())
    #expect(try bed.engine().repository().hostState()?.repositoryID == points[0].repositoryID)
    try move("backups", "away", in: bed)
    #expect(throws: HoldfastError.self) { try bed.engine().create(CreateRequest()) }
  }
}
