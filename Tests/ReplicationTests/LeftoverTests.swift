import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing

@Suite("The remains of crashed puts", .ownThread)
struct LeftoverTests {
  private func age(_ path: String, days: Int) throws {
    #expect(try Shell.run("touch", ["-d", "\(days) days ago", path]).status == 0)
  }

  private func temporaryFiles(_ bed: ReplicationBed) throws -> Set<String> {
    let found = try Shell.run("find", [bed.bed.folder.path("nas"), "-name", ".holdfast-*", "-printf", "%P\\n"])
    return Set(found.stdout.split(separator: "\n").map(String.init))
  }

  @Test("In a folder they are removed after a week, and nothing else is")
  func folder() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let repository = String(try #require(bed.store.listAll(ListQuery()).objects.first).key.prefix(32))
    let chain = "\(repository)/points/000000000001"
    let paths = ["\(chain)/.holdfast-old", "\(chain)/.holdfast-new", "\(repository)/.holdfast-old", ".holdfast-other"]
    for path in paths { try bed.bed.folder.write("nas/\(path)", [1]) }
    for path in paths where !path.hasSuffix("new") { try age(bed.bed.folder.path("nas/\(path)"), days: 8) }
    let archives = try bed.archives()
    _ = try bed.replicator().run()
    #expect(try temporaryFiles(bed).count == 4)
    bed.bed.time.advance(seconds: 7 * 86400)
    // A plan changes nothing.
    _ = try bed.replicator().plan()
    #expect(try temporaryFiles(bed).count == 4)
    let outcome = try bed.replicator().run()
    #expect(try temporaryFiles(bed) == ["\(chain)/.holdfast-new", ".holdfast-other"])
    #expect(outcome.requests.deletes == 2 && outcome.requests.lists == 2)
    #expect(try bed.archives() == archives)
    // It was looked for a moment ago.
    try age(bed.bed.folder.path("nas/\(chain)/.holdfast-new"), days: 8)
    #expect(try bed.replicator().run().requests.lists == 1)
    #expect(try temporaryFiles(bed).count == 2)
  }

  @Test("A machine that may not remove anything leaves them")
  func append() throws {
    var bed = try ReplicationBed()
    bed.target.settings.access = .append
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let repository = String(try #require(bed.store.listAll(ListQuery()).objects.first).key.prefix(32))
    try bed.bed.folder.write("nas/\(repository)/.holdfast-old", [1])
    try age(bed.bed.folder.path("nas/\(repository)/.holdfast-old"), days: 8)
    bed.bed.time.advance(seconds: 8 * 86400)
    _ = try bed.replicator().run()
    #expect(try temporaryFiles(bed).count == 1)
  }

  @Test("In a bucket, uploads of this repository that nobody continues are removed after a week")
  func bucket() throws {
    let bed = try SweepBed(partSize: 2500, shipped: nil, unshipped: 0)
    try bed.reset()
    // The answer to the beginning is lost, and with it the ID of the upload.
    bed.prepare(nil)
    _ = try bed.run()
    let begin = try #require(bed.proxy.requests.firstIndex { $0.method == "POST" && $0.target.hasSuffix("uploads=") })
    try bed.reset()
    bed.prepare(.misreport(status: 500, code: "InternalError"), at: begin + 1)
    #expect(throws: StoreError.self) { _ = try bed.run() }
    try bed.bucket.beginUpload("some/prefix/other")
    bed.prepare(nil)
    _ = try bed.run()
    try bed.checkBucket()
    #expect(try bed.bucket.uploads().count == 2)
    bed.bed.time.advance(seconds: 7 * 86400)
    // moto's uploads are all from 2010.
    _ = try bed.run()
    #expect(try bed.bucket.uploads().count == 1)
    #expect(bed.proxy.requests.suffix(2).map(\.method) == ["GET", "DELETE"], "\(bed.proxy.requests)")
    try bed.checkBucket()
    #expect(try bed.restore().isRight)
  }

  @Test("An upload that this machine will continue stays")
  func continued() throws {
    let bed = try SweepBed(partSize: 2500, shipped: nil, unshipped: 0)
    try bed.reset()
    bed.prepare(nil)
    _ = try bed.run()
    let count = bed.proxy.requests.count
    try bed.reset()
    bed.prepare(.refuse(status: 503, code: "SlowDown"), at: count)
    #expect(throws: StoreError.self) { _ = try bed.run() }
    let begun = try bed.bucket.uploads()
    bed.bed.time.advance(seconds: 8 * 86400)
    // The run looks for remains, and ends before it continues the upload.
    bed.prepare(.refuse(status: 503, code: "SlowDown"), at: 4)
    #expect(throws: StoreError.self) { _ = try bed.run() }
    #expect(bed.proxy.requests.contains { $0.target.contains("uploads=") }, "\(bed.proxy.requests)")
    #expect(try begun.count == 1 && bed.bucket.uploads() == begun)
    bed.prepare(nil)
    _ = try bed.run()
    #expect(try bed.bucket.uploads().isEmpty)
    try bed.checkBucket()
  }
}
