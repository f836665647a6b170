import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing
import Transfer

@Suite("Targets")
struct TargetTests {
  @Test("A folder and a bucket are opened without a request")
  func open() throws {
    let loop = TransferLoop()
    defer { loop.stop() }
    for address in ["/mnt/nas/holdfast", "s3://bucket/prefix?region=eu-central-1"] {
      let target = try Target(
        name: "nas", address: address, settings: TargetSettings(name: "nas", retention: RetentionPolicy()))
      let store = target.connection.open(target.url, on: loop)
      #expect((store is FolderStore) == address.hasPrefix("/"))
    }
    #expect(throws: StoreError.self) {
      _ = try Target(
        name: "x", address: "ftp://host", settings: TargetSettings(name: "x", retention: RetentionPolicy()))
    }
  }

  @Test("It is behind if a backup is missing for max_lag and its interval")
  func lag() throws {
    var target = try Target(
      name: "nas", address: "/mnt/nas", settings: TargetSettings(name: "nas", retention: RetentionPolicy()))
    (target.maxLag, target.settings.interval) = (600, 3_600_000)
    #expect(target.lag.patience == 4_200_000)
  }

  @Test("Only the last folders of a path are made")
  func madeFolders() throws {
    let folder = try TemporaryFolder()
    let loop = TransferLoop()
    defer { loop.stop() }
    var connection = TargetConnection()
    connection.madeFolders = 1
    let store = connection.open(.folder(folder.path("shop/")), on: loop)
    try store.put("a", ObjectContent([1]))
    #expect(try folder.read("shop/a") == [1])
    let other = connection.open(.folder(folder.path("absent/shop")), on: loop)
    #expect(throws: StoreError.self) { try other.put("a", ObjectContent([1])) }
  }

  @Test("A limit of bandwidth makes the parts of uploads small enough for some minutes each")
  func limits() {
    var connection = TargetConnection()
    connection.limitUploads(to: 100 << 10)
    #expect(connection.limits.upload == 100 << 10 && connection.uploads.partSize == 6_144_000)
    #expect(connection.uploads.multipartThreshold == 24_576_000)
    connection.limitUploads(to: 1 << 10)
    #expect(connection.uploads.partSize == 5 << 20 && connection.uploads.multipartThreshold == 5 << 20)
    var fast = TargetConnection()
    fast.limitUploads(to: 1 << 30)
    #expect(fast.uploads.partSize == 16 << 20 && fast.uploads.multipartThreshold == 64 << 20)
  }
}
