import BackupPolicy
import ObjectStorage
import Replication
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
}
