import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing

/// Reading backups from a target, in a folder that stands for any store.
@Suite("Reading from targets", .ownThread)
struct RemoteReaderTests {
  // MARK: Choosing

  @Test("The newest backup is read with one list each of repositories and archives, and a get an archive")
  func newest() throws {
    let bed = try ReaderBed()
    let reader = try bed.reader()
    let (choice, image) = try bed.read(.latest, reader)
    #expect(choice.backup.id == bed.ids[3] && choice.backup.sequence == 4 && choice.warnings == [])
    #expect(try image == bed.bed.restored(bed.ids[3]))
    #expect(bed.store.counts == CountingStore.Counts(lists: 2, gets: 4))
    reader.folder.remove()
    #expect(try bed.isClean())
  }

  @Test("A backup is read by its ID, by the beginning of it and by a time")
  func references() throws {
    let bed = try ReaderBed()
    let id = bed.ids[1]
    let beginning = String(id.text.dropLast())
    for reference in [RemoteReference.named(id.text), .moment(id.second.adding(.milliseconds(999)))] {
      let (choice, image) = try bed.read(reference, bed.reader())
      #expect(choice.backup.id == id && choice.backup.needed == [bed.ids[1], bed.ids[0]])
      #expect(try image == bed.bed.restored(id))
    }
    let several = try failure(.usage) { _ = try bed.reader().choose(.named(beginning)) }
    #expect(several.message == "\(beginning) matches 4 backups")
    let none = try failure(.pointNotFound) { _ = try bed.reader().choose(.named("backup_2019")) }
    #expect(none.message == "there is no backup backup_2019 in the target")
    let early = try failure(.pointNotFound) { _ = try bed.reader().choose(.moment(Timestamp(milliseconds: 0))) }
    #expect(early.message.contains("the oldest is \(bed.ids[0])"))
  }

  @Test("A backup of a restore's former content is never the newest")
  func safetyBackup() throws {
    let bed = try ReaderBed()
    bed.bed.time.advance(milliseconds: 1000)
    let safety = try bed.bed.engine().create(CreateRequest(for: BackupReason(.safety)))
    try bed.target.copy(from: bed.bed.backups)
    let choice = try bed.reader().choose(.latest)
    #expect(choice.backup.id == bed.ids[3] && choice.warnings == [])
    #expect(try bed.reader().choose(.named(safety.id.text)).backup.id == safety.id)
    let random = try bed.reader().choose(.random)
    #expect(bed.ids.contains(random.backup.id))
  }

  @Test("A backup that a later writer did not know is only read by its ID, with a warning")
  func superseded() throws {
    let bed = try ReaderBed()
    // The second writer began when the newest number was 3, and stored nothing yet.
    let records: (String) -> WriterRecordReader? = { _ in
      { name, _ in
        WriterRecord(name, baseSequence: name.epoch == 1 ? 0 : 3, host: "web-2", started: Timestamp(milliseconds: 0))
      }
    }
    for epoch in 1...2 { try bed.target.put([], at: WriterName(epoch: epoch)!.text) }
    let reader = try bed.reader { $0.records = records }
    let newest = try reader.choose(.latest)
    #expect(newest.backup.id == bed.ids[2])
    #expect(newest.warnings.count == 2)
    #expect(
      newest.warnings.first
        == "\(bed.ids[3]) is newer and was skipped: it is superseded: another machine went on without it")
    #expect(newest.warnings.last?.hasPrefix("this host stored number 4, and the newest there is number 3: ") == true)
    #expect(bed.store.counts.lists == 3)
    let named = try bed.reader { $0.records = records }.choose(.named(bed.ids[3].text))
    #expect(named.backup.isSuperseded && named.warnings.count == 1)
    #expect(try bed.reader().choose(.latest).backup.id == bed.ids[3])
  }

  @Test("Of the writer records, only those that are later than the oldest listed archive are read")
  func records() throws {
    let bed = try ReaderBed()
    var target = try TargetCopy(bed.bed.folder.path("old-target"))
    try target.copy(from: bed.bed.backups, epoch: 300)
    for epoch in 1...302 { try target.put([], at: WriterName(epoch: epoch)!.text) }
    let store = CountingStore(FolderStore(target.folder))
    let reader = try bed.reader([BackupSource(address: "old", store: store)]) { options in
      options.records = { _ in
        { name, _ in WriterRecord(name, baseSequence: 3, host: "web-2", started: Timestamp(milliseconds: 0)) }
      }
    }
    #expect(try reader.choose(.latest).backup.id == bed.ids[2])
    // Two records, and the archive.
    #expect(store.counts.gets == 3)
  }

  @Test("If this host stored newer backups than the target has, a warning says so")
  func rollback() throws {
    let bed = try ReaderBed()
    try bed.target.remove(bed.ids[3])
    let warnings = try bed.reader().choose(.latest).warnings
    #expect(
      warnings.count == 1 && warnings[0].hasPrefix("this host stored number 4, and the newest there is number 3: "))
  }

  @Test("Names that nothing proves do not hide that newer backups are withheld", arguments: [3, 4, 5, 99] as [Int64])
  func rollbackBehindNames(number: Int64) throws {
    let bed = try ReaderBed()
    try bed.target.remove(bed.ids[3])
    let raw = try #require(
      RemoteName(
        chain: number, sequence: number, parent: nil, epoch: 1, bytes: 5, hash: 0,
        archive: ArchiveName("backup_20240101_000000.tar.gz.enc")!))
    try bed.target.put(Self.garbage, at: raw.text)
    let choice = try bed.reader().choose(.latest)
    #expect(choice.backup.id == bed.ids[2])
    #expect(choice.warnings.count == 1 && choice.warnings[0].hasPrefix("this host stored number 4, and the newest "))
  }

  @Test("No warning comes if the newest backup of this host is a copy of damaged files, or is not the chosen one")
  func noRollback() throws {
    let bed = try ReaderBed()
    for _ in 0..<8 { #expect(try bed.reader().choose(.random).warnings == []) }
    bed.bed.time.advance(milliseconds: 1000)
    let safety = try bed.bed.engine().create(CreateRequest(for: BackupReason(.safety)))
    let archive = try #require(try bed.bed.folder.read("backups/\(safety.filename)"))
    let raw = try #require(
      RemoteName(
        chain: 5, sequence: 5, parent: nil, epoch: 1, bytes: Int64(archive.count), hash: 0,
        archive: ArchiveName(id: safety.id, content: .raw, compressed: true, encrypted: true)))
    try bed.target.put(archive, at: raw.text)
    let choice = try bed.reader().choose(.latest)
    #expect(choice.backup.id == bed.ids[3] && choice.warnings == [])
  }

  // MARK: Damage

  @Test("A damaged newest archive is an error that names the newest whole backup and its distance")
  func damagedNewest() throws {
    let bed = try ReaderBed()
    try bed.target.damage(bed.ids[3])
    let error = try failure(.verificationFailed) { _ = try bed.read(.latest, bed.reader()) }
    #expect(error.message.contains("\(bed.ids[3]) of ") && error.message.contains("its archive is not usable"))
    #expect(error.hint?.hasSuffix("1 s older: holdfast restore \(bed.ids[2])") == true, "\(error.hint ?? "")")
    #expect(try bed.read(.named(bed.ids[2].text), bed.reader()).image == bed.bed.restored(bed.ids[2]))
  }

  @Test("A damaged or missing archive in the chain ends the backups behind it", arguments: [true, false])
  func brokenChain(isMissing: Bool) throws {
    let bed = try ReaderBed()
    if isMissing { try bed.target.remove(bed.ids[2]) } else { try bed.target.damage(bed.ids[2]) }
    let error = try failure(.verificationFailed) { _ = try bed.read(.latest, bed.reader()) }
    #expect(error.hint?.hasSuffix("2 s older: holdfast restore \(bed.ids[1])") == true, "\(error)")
    try bed.target.remove(bed.ids[0])
    let nothing = try failure(.verificationFailed) { _ = try bed.read(.latest, bed.reader()) }
    #expect(nothing.hint == "no other backup there is whole")
  }

  @Test("An archive that vanishes while it is fetched is reported, and listed once more")
  func vanished() throws {
    let bed = try ReaderBed()
    let target = bed.target
    let id = bed.ids[1]
    bed.store.beforeGet { key in
      if target.names[id].map({ key.hasSuffix($0.text) }) ?? false { try? target.remove(id) }
    }
    let error = try failure(.verificationFailed) { _ = try bed.read(.latest, bed.reader()) }
    #expect(error.hint?.contains("holdfast restore \(bed.ids[0])") == true, "\(error)")
    #expect(bed.store.counts.lists == 3)
  }

  @Test("If a backup has two archives, a damaged one is replaced by the other")
  func twoArchives() throws {
    let bed = try ReaderBed()
    let image = try bed.bed.restored(bed.ids[3])
    bed.bed.time.advance(seconds: 2 * 3600)
    _ = try bed.bed.engine().compact(CompactionPolicy())
    var merged = try TargetCopy(bed.target.folder)
    try merged.copy(from: bed.bed.backups) { $0 == bed.ids[3] }
    let few = try bed.read(.latest, bed.reader())
    #expect(few.choice.backup.needed == [bed.ids[3], bed.ids[0]] && few.image == image)
    try merged.damage(bed.ids[3])
    for reference in [RemoteReference.latest, .named(bed.ids[3].text)] {
      let many = try bed.read(reference, bed.reader())
      #expect(many.choice.backup.needed.count == 4 && many.image == image)
    }
  }

  @Test(
    "An archive that was put again because it was damaged is read from its new place",
    arguments: [TargetCopy.Damage.flipped, .cutOff, .extended, .empty])
  func putAgain(damage: TargetCopy.Damage) throws {
    for number in 0...3 {
      let bed = try ReaderBed()
      var again = try TargetCopy(bed.target.folder)
      try again.copy(from: bed.bed.backups, epoch: 2) { $0 == bed.ids[number] }
      try bed.target.damage(bed.ids[number], damage)
      for reference in [RemoteReference.latest, .named(bed.ids[3].text)] {
        let read = try bed.read(reference, bed.reader())
        #expect(try read.image == bed.bed.restored(bed.ids[3]), "\(number)")
      }
      // Also if only the older place is whole.
      try again.damage(bed.ids[number], damage)
      // What follows an archive is not read.
      if damage != .extended {
        let error = try failure(.verificationFailed) { _ = try bed.read(.latest, bed.reader()) }
        #expect(error.message.contains("not usable"), "\(error)")
      }
      try bed.target.copyAgain(bed.ids[number], from: bed.bed.backups)
      #expect(try bed.read(.latest, bed.reader()).image == bed.bed.restored(bed.ids[3]), "\(number)")
      #expect(try bed.reader().doubtAboutNames() == nil)
    }
  }

  @Test("An archive that a later writer put again counts, although the first place of it does not")
  func countsAgain() throws {
    let bed = try ReaderBed()
    var again = try TargetCopy(bed.target.folder)
    try again.copy(from: bed.bed.backups, epoch: 3) { $0 == bed.ids[3] }
    for epoch in 1...3 { try bed.target.put([], at: WriterName(epoch: epoch)!.text) }
    let choice = try bed.reader { options in
      options.records = { _ in
        { name, _ in
          WriterRecord(
            name, baseSequence: [0, 3, 4][name.epoch - 1], host: "web", started: Timestamp(milliseconds: 0))
        }
      }
    }.choose(.latest)
    #expect(choice.backup.id == bed.ids[3] && choice.warnings == [])
  }

  @Test("A name that contradicts the header of its archive is damage")
  func lyingName() throws {
    let bed = try ReaderBed()
    let name = try #require(bed.target.names[bed.ids[3]])
    let bytes = try #require(try SystemFileOperations().contents(bed.target.path(bed.ids[3])))
    let lie = try #require(
      RemoteName(
        chain: name.chain, sequence: 9, parent: name.parent, epoch: 1, bytes: name.bytes, hash: name.hash,
        archive: ArchiveName("backup_20240101_000000.pages.gz.enc")!))
    try bed.target.put(bytes, at: lie.text)
    let error = try failure(.verificationFailed) { _ = try bed.reader().choose(.latest) }
    #expect(error.message.contains("its header has another ID than its name: \(bed.ids[3])"))
    #expect(error.hint?.contains("holdfast restore \(bed.ids[3])") == true)
  }

  // MARK: Trust

  @Test("A wrong key is reported as such, and so is a missing one")
  func wrongKey() throws {
    let bed = try ReaderBed()
    let other = Credentials(key: SecretBytes([UInt8](repeating: 7, count: 32)))
    for reference in [RemoteReference.latest, .named(bed.ids[0].text), .moment(bed.ids[2].second)] {
      _ = try failure(.wrongKey) { _ = try bed.reader(nil, other).choose(reference) }
      _ = try failure(.keyMissing) { _ = try bed.reader(nil, .none).choose(reference) }
    }
  }

  @Test("Archives that no key proves are not chosen beside those that the key proves")
  func planted() throws {
    let bed = try ReaderBed()
    let planted = try #require(
      RemoteName(
        chain: 99, sequence: 99, parent: nil, epoch: 1, bytes: 5, hash: 0,
        archive: ArchiveName("backup_20240101_000000.db.gz")!))
    try bed.target.put([1, 2, 3, 4, 5], at: planted.text)
    let choice = try bed.reader().choose(.latest)
    #expect(choice.backup.id == bed.ids[3])
    #expect(
      choice.warnings == [
        "backup_20240101_000000 is newer and was skipped: it is not encrypted, so no key proves its origin"
      ])
    #expect(try bed.reader().choose(.moment(planted.id.second)).backup.id == bed.ids[3])
    // Encrypted, but with another key.
    let other = try ReaderBed(.password)
    let sealed = try #require(other.target.names[other.ids[0]])
    let foreign = try #require(
      RemoteName(
        chain: 98, sequence: 98, parent: nil, epoch: 1, bytes: sealed.bytes, hash: sealed.hash,
        archive: ArchiveName("backup_20240102_000000.db.gz.enc")!))
    try bed.target.put(SystemFileOperations().contents(other.target.path(other.ids[0])) ?? [], at: foreign.text)
    #expect(try bed.reader().choose(.latest).backup.id == bed.ids[3])
  }

  @Test("A repository without encryption is only read with consent")
  func plain() throws {
    let bed = try ReaderBed(.none)
    for reference in [RemoteReference.latest, .named(bed.ids[3].text), .named(bed.ids[0].text)] {
      let error = try failure(.unauthenticated) { _ = try bed.reader(nil, .none).choose(reference) }
      #expect(error.hint?.contains("--accept-unauthenticated") == true)
      let reader = try bed.reader(nil, .none) { $0.acceptsUnauthenticated = true }
      let (choice, image) = try bed.read(reference, reader)
      #expect(try image == bed.bed.restored(choice.backup.id, .none))
    }
  }

  // MARK: Several repositories and targets

  @Test("If several repositories open with the key, the caller must choose; others are left out")
  func severalRepositories() throws {
    let bed = try ReaderBed()
    let other = try ReaderBed()
    try Shell.run("cp", ["-r", "\(other.target.folder)/\(other.target.repositoryID)", bed.target.folder])
      .requireSuccess()
    let error = try failure(.refused) { _ = try bed.reader().choose(.latest) }
    #expect(error.message.contains(bed.target.repositoryID) && error.message.contains(other.target.repositoryID))
    #expect(
      error.message.contains("by test-host of \(bed.bed.database)") && error.hint?.contains("--repository ") == true)
    let id = String(other.target.repositoryID.prefix(8))
    let reader = try bed.reader { $0.repository = id }
    #expect(try bed.read(.latest, reader).image == other.bed.restored(other.ids[3]))
    let none = try failure(.pointNotFound) { _ = try bed.reader { $0.repository = "zz" }.choose(.latest) }
    #expect(none.message == "there is no repository zz in nas")
    // Another key for one of the two.
    let third = try ReaderBed(.password)
    try Shell.run(
      "sh",
      [
        "-c", "rm -r \(bed.target.folder)/\(other.target.repositoryID) && cp -r \(third.target.folder)/* $0",
        bed.target.folder,
      ]
    ).requireSuccess()
    let alone = try bed.reader()
    #expect(try alone.choose(.latest).backup.id == bed.ids[3])
    #expect(alone.warnings == ["1 other repository does not open with this key and is left out"])
  }

  @Test("A repository whose newest backup is forged, damaged or incomplete is not passed over for another one")
  func disguisedRepository() throws {
    let changes: [(ReaderBed) throws -> Void] = [
      { try $0.target.put(Self.garbage, at: Self.forged.text) },
      { bed in
        let newest = try #require(bed.target.names[bed.ids[3]])
        let lie = try #require(
          RemoteName(
            chain: newest.chain, sequence: 9, parent: newest.parent, epoch: 1, bytes: newest.bytes, hash: newest.hash,
            archive: ArchiveName("backup_20240101_000000.pages.gz.enc")!))
        try bed.target.put(SystemFileOperations().contents(bed.target.path(bed.ids[3])) ?? [], at: lie.text)
      },
      { try $0.target.remove($0.ids[0]) },
    ]
    for (number, change) in changes.enumerated() {
      let (bed, other) = (try ReaderBed(), try ReaderBed())
      try Shell.run("cp", ["-r", "\(other.target.folder)/\(other.target.repositoryID)", bed.target.folder])
        .requireSuccess()
      try change(bed)
      let error = try failure(.refused) { _ = try bed.reader().choose(.latest) }
      #expect(error.message.hasPrefix("nas holds 2 repositories: "), "\(number): \(error)")
      for id in [bed.target.repositoryID, other.target.repositoryID] {
        #expect(error.message.contains("\(id) ("), "\(number): \(error)")
      }
      let reader = try bed.reader { $0.repository = other.target.repositoryID }
      #expect(try reader.choose(.latest).backup.id == other.ids[3])
    }
  }

  @Test("A damaged double of the newest backup in another chain does not hide the real archive")
  func doubleInAnotherChain() throws {
    let bed = try ReaderBed()
    let real = try #require(bed.target.names[bed.ids[3]])
    #expect(real.parent != nil)
    let archive = try #require(ArchiveName("\(bed.ids[3].text).db.gz.enc"))
    let double = try #require(
      RemoteName(
        chain: real.sequence, sequence: real.sequence, parent: nil, epoch: real.epoch,
        bytes: Int64(Self.garbage.count), hash: 1, archive: archive))
    try bed.target.put(Self.garbage, at: double.text)
    #expect(try bed.reader().choose(.latest).backup.name == real)
  }

  @Test("Of many repositories only some are examined, and none of the others is said to have another key")
  func manyRepositories() throws {
    let bed = try ReaderBed()
    for number in 10..<31 {
      let id = String(repeating: "f", count: 30) + "\(number)"
      let path = "\(bed.target.folder)/\(id)/\(Self.forged.text)"
      let end = try #require(path.lastIndex(of: "/"))
      try SystemFileOperations().makeFolders(String(path[..<end]))
      try SystemFileOperations().replace(path, with: Self.garbage, durable: false)
    }
    let error = try failure(.refused) { _ = try bed.reader().choose(.latest) }
    #expect(error.message.hasPrefix("nas holds 22 repositories: \(bed.target.repositoryID) ("), "\(error)")
    #expect(error.message.contains("ff30 (not examined)"), "\(error)")
    #expect(error.message.hasSuffix(", 19 that do not open with this key"), "\(error)")
  }

  /// The name of a full that anyone could have written.
  private static let forged = RemoteName(
    chain: 99, sequence: 99, parent: nil, epoch: 1, bytes: 5, hash: 0,
    archive: ArchiveName("backup_20240101_000000.db.gz.enc")!)!
  private static let garbage: [UInt8] = [1, 2, 3, 4, 5]

  @Test("A damaged archive is fetched from another target, and a target that fails is left out")
  func failover() throws {
    let bed = try ReaderBed()
    let copy = bed.bed.folder.path("second")
    try Shell.run("cp", ["-r", bed.target.folder, copy]).requireSuccess()
    let second = CountingStore(FolderStore(copy))
    let sources = [bed.source(), BackupSource(address: "usb", store: second)]
    try bed.target.damage(bed.ids[1])
    try bed.target.remove(bed.ids[2])
    #expect(try bed.read(.latest, bed.reader(sources)).image == bed.bed.restored(bed.ids[3]))
    #expect(second.counts.gets == 2)
    bed.store.fail(.unreachable)
    let reader = try bed.reader(sources)
    #expect(try bed.read(.latest, reader).choice.backup.id == bed.ids[3])
    #expect(reader.warnings == ["left out, because it cannot be read: nas: the test wants it"])
    second.fail(.denied)
    let error = try failure(.ioError) { _ = try bed.reader(sources).choose(.latest) }
    #expect(error.message == "nas: the test wants it" && error.hint?.contains("network") == true)
  }

  @Test("A download goes on where its connection broke, as long as bytes arrive")
  func brokenConnection() throws {
    let bed = try ReaderBed()
    bed.store.breakAfter(1000)
    let (_, image) = try bed.read(.latest, bed.reader())
    #expect(try image == bed.bed.restored(bed.ids[3]) && bed.store.counts.gets > 4)
    bed.store.breakAfter(0)
    _ = try failure(.ioError) { _ = try bed.read(.latest, bed.reader()) }
  }

  @Test("Archives that the backup folder of this machine has are not fetched")
  func localFolder() throws {
    let bed = try ReaderBed()
    try SystemFileOperations().unlink(bed.bed.archivePath(bed.points[1]))
    let sources = [BackupSource(repository: bed.bed.backups), bed.source()]
    let reader = try bed.reader(sources)
    let choice = try reader.choose(.latest)
    try reader.fetch([choice])
    #expect(bed.store.counts.gets == 1)
  }

  // MARK: Witnesses and scratch space

  @Test("A target whose newest backup is older than a person knows of is refused")
  func expectations() throws {
    let bed = try ReaderBed()
    func meets(_ change: (inout NewestExpectation) -> Void) throws -> Bool {
      var expectation = NewestExpectation()
      change(&expectation)
      do {
        try bed.reader().require(expectation)
        return true
      } catch let error as HoldfastError where error.code == .refused {
        #expect(error.message.hasPrefix("the newest backup in nas is number 4, \(bed.ids[3]), "))
        return false
      }
    }
    #expect(try meets { $0.sequence = 4 } && !meets { $0.sequence = 5 })
    #expect(try meets { $0.id = bed.ids[3] } && meets { $0.id = bed.ids[1] })
    #expect(try !meets { $0.id = PointID("backup_20240101_000000") })
    bed.bed.time.advance(milliseconds: 60_000)
    #expect(try meets { $0.maximumAge = 61_000 } && !meets { $0.maximumAge = 59_000 })
  }

  @Test("The archives of a killed command are removed by the next one, and those of a running one stay")
  func leftovers() throws {
    let bed = try ReaderBed()
    let scratch = bed.bed.folder.path("state/scratch")
    try SystemFileOperations().makeFolders("\(scratch)/.fetch-1-00/repository/.metadata")
    _ = try bed.bed.folder.write("state/scratch/.fetch-1-00/repository/backup.db", [1])
    _ = try bed.bed.folder.write("state/scratch/.fetch-1-00.lock", [])
    let running = try bed.reader()
    let other = try bed.reader()
    #expect(try SystemFileOperations().list(scratch).count == 4)
    other.folder.remove()
    running.folder.remove()
    #expect(try bed.isClean())
  }

  @Test("A stopped command ends as interrupted")
  func interrupted() throws {
    let bed = try ReaderBed()
    let progress = Progress()
    let reader = try bed.reader(progress: progress)
    let choice = try reader.choose(.latest)
    progress.stop()
    _ = try failure(.interrupted) { try reader.fetch([choice]) }
  }
}

extension ProgramResult {
  fileprivate func requireSuccess() throws { try #require(status == 0, "\(stderr)") }
}
