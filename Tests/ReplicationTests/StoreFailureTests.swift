import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage
import Replication
import Testing

@Suite("Failures of stores for people")
struct StoreFailureTests {
  private static let kinds: [(StoreError.Kind, Int32)] = [
    (.missing, 4), (.noContainer, 4), (.exists, 1), (.conflict, 6), (.denied, 1), (.expired, 1), (.noCredentials, 1),
    (.clockSkew, 1), (.wrongRegion("eu-west-1"), 1), (.throttled, 1), (.unavailable, 1), (.unreachable, 1),
    (.untrusted, 1), (.damaged, 3), (.changed, 3), (.full, 7), (.unsupported, 1), (.outOfRange, 3), (.invalid, 64),
    (.malformed, 1), (.tooLarge, 1), (.cancelled, 130), (.local(errno: EIO), 1), (.local(errno: ENOSPC), 7),
    (.other, 1),
  ]

  @Test("A failure has one exit code, whether a target or --from met it", arguments: kinds.indices)
  func codes(index: Int) {
    let (kind, code) = Self.kinds[index]
    let error = StoreError(kind, "it failed")
    let (target, address) = (error.error(at: "nas"), HoldfastError(error, of: "s3://bucket/x"))
    #expect(target.code == address.code && target.code.exitCode == code, "\(kind): \(target.code)")
    #expect(target.message == "target nas: it failed" && address.message == "s3://bucket/x: it failed")
  }

  @Test("A wrong clock is reported with the difference")
  func clock() {
    let behind = StoreError.clockSkew(by: 3_600_000).error(at: "s3")
    #expect(behind.message.hasPrefix("target s3: this machine's clock is 1 h behind the store's: "), "\(behind)")
    #expect(behind.hint == "set the clock of this machine: timedatectl set-ntp true")
    let ahead = HoldfastError(StoreError.clockSkew(by: -420_000), of: "s3://bucket/x")
    #expect(ahead.message.hasPrefix("s3://bucket/x: this machine's clock is 7 min ahead of the store's: "), "\(ahead)")
  }

  @Test("A failure names the backup, and not the object")
  func named() throws {
    let id = PointID("backup_20261122_140258")!
    let archive = ArchiveName(id: id, content: .database, compressed: true, encrypted: true)
    let name = try #require(
      RemoteName(chain: 1, sequence: 1, parent: nil, epoch: 1, bytes: 9, hash: 7, archive: archive))
    let folder = try #require(
      RemoteFolder(FolderStore("/no/such/folder"), repositoryID: String(repeating: "a", count: 32)))
    for (object, words) in [(RemoteObject.archive(name), "archive"), (RemoteObject.metadata(name), "metadata")] {
      let error = #expect(throws: StoreError.self) { try folder.put(object, ObjectContent(Array("x".utf8))) }
      let start = "cannot store the \(words) of \(id): there is no folder"
      #expect(error?.message.hasPrefix(start) == true, "\(error as Any)")
    }
  }
}
