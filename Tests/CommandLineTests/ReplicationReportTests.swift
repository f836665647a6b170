import ObjectStorage
import Replication
import Testing
import Wording

@testable import BackupPolicy

@Suite("The report of a plan for a target")
struct ReplicationReportTests {
  private func target(_ address: String) throws -> Target {
    try Target(name: "s3", address: address, settings: TargetSettings(name: "s3", retention: RetentionPolicy()))
  }

  private static func id(_ second: Int) throws -> PointID { try #require(PointID("backup_20261122_1402\(second)")) }

  private func plan() throws -> ReplicationPlan {
    let (full, change, old) = (try Self.id(10), try Self.id(20), try Self.id(30))
    let archive = try #require(ArchiveName("\(old).db.gz.enc"))
    let removed = try #require(
      RemoteName(chain: 1, sequence: 1, parent: nil, epoch: 1, bytes: 2048, hash: 1, archive: archive))
    var plan = ReplicationPlan()
    plan.steps = [
      .put(
        ReplicationPut(
          point: full, sequence: 7, chain: 7, parent: nil, parentSequence: nil, merged: [], bytes: 100 << 20,
          isNewest: false, reason: "the newest backup needs it")),
      .put(
        ReplicationPut(
          point: change, sequence: 9, chain: 7, parent: full, parentSequence: 7, merged: [old, change], bytes: 6 << 10,
          isNewest: true, reason: "the newest backup")),
      .remove(removed, reason: "older than 30 days"),
      .wait(until: Timestamp(milliseconds: 0), reason: "one backup every 10 s is sent"),
    ]
    plan.skipped = [RetentionVerdict(id: old, reasons: ["it failed"])]
    plan.lost = [old]
    return plan
  }

  @Test("A dry run has each step with its size and reason, then the requests and their price")
  func lines() throws {
    let report = ReplicationReport(try target("s3://bucket/shop"), planned: try plan(), zone: .utc)
    #expect(
      report.lines == [
        "s3  s3://bucket/shop", "  Would upload: 2",
        "    backup_20261122_140210  full, 100 MiB: the newest backup needs it",
        "    backup_20261122_140220  changes since backup_20261122_140210, at most 6 KiB of 2 backups: the newest backup",
        "  Would remove: 1", "    backup_20261122_140230  2 KiB: older than 30 days",
        "  Waits until 1970-01-01 00:00:00 UTC: one backup every 10 s is sent",
        "  Not sent: backup_20261122_140230: it failed", "  ! Cannot be restored from there: backup_20261122_140230",
        "  In all: 10 uploads, 1 read, 1 removal, at most 100 MiB, less than $0.0001 on S3",
      ])
  }

  @Test("A plan that writes nothing says why")
  func stop() throws {
    var plan = ReplicationPlan()
    plan.steps = [.stop(reason: "another machine writes to it")]
    let report = ReplicationReport(try target("/mnt/nas"), planned: plan, zone: .utc)
    #expect(report.lines == ["s3  /mnt/nas", "  ! Nothing is written: another machine writes to it"])
  }

  @Test(
    "Prices are those of the store at the address; folders and unknown stores have no price",
    arguments: [
      ("s3://bucket", "S3"), ("s3://bucket?endpoint=https://abc.r2.cloudflarestorage.com", "R2"),
      ("s3://bucket?endpoint=https://s3.eu-central-003.backblazeb2.com", "B2"),
      ("s3://bucket?endpoint=https://minio.internal", nil), ("/mnt/nas", nil),
      ("s3://bucket?endpoint=https://notbackblazeb2.com", nil),
    ])
  func prices(address: String, store: String?) throws {
    #expect(try StoreURL(address).prices?.store == store)
  }

  @Test("Requests are counted by kind")
  func words() {
    #expect(RequestCount(puts: 1, gets: 1200, deletes: 2).words == "1 upload, 1,200 reads, 2 removals")
    #expect(RequestCount().words == "no requests")
  }
}
