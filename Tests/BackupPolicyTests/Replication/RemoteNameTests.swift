import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Names of objects in a target")
struct RemoteNameTests {
  static let repository = "00112233445566778899aabbccddeeff"
  static let name =
    "points/000000000412/000000000431-000000000430-000007-6123-9f86d081884c7d65-backup_20261122_140258.pages.gz.enc"
  static let full =
    "points/000000000412/000000000412-full-000007-8388608-00000000000000ff-backup_20261122_020000.db.gz.enc"

  @Test("The name of an incremental carries its facts")
  func incremental() throws {
    let name = try #require(RemoteName(Self.name))
    #expect(name.chain == 412)
    #expect(name.sequence == 431)
    #expect(name.parent == 430)
    #expect(name.epoch == 7)
    #expect(name.bytes == 6123)
    #expect(name.hash == 0x9f86_d081_884c_7d65)
    #expect(name.archive.text == "backup_20261122_140258.pages.gz.enc")
    #expect(name.text == Self.name)
  }

  @Test("The name of a full has no parent, and its chain is its own")
  func fulls() throws {
    let name = try #require(RemoteName(Self.full))
    #expect(name.parent == nil)
    #expect(name.chain == name.sequence)
    #expect(name.text == Self.full)
    #expect(RemoteName.folder(ofChain: 412) == "points/000000000412/")
  }

  @Test("Keys of all kinds read back")
  func keys() throws {
    let full = try #require(RemoteName(Self.full))
    let writer = try #require(WriterName(epoch: 7))
    let nonce = try #require(WriterName(epoch: 7, nonce: 255))
    let expected: [(RemoteObject, String)] = [
      (.archive(full), Self.full), (.metadata(full), Self.full + ".json"), (.writer(writer), "writers/000007"),
      (.writer(nonce), "writers/000007-00000000000000ff"), (.probe(16), "probe/0000000000000010"),
    ]
    for (object, text) in expected {
      let key = try #require(RemoteKey(repository: Self.repository, object))
      #expect(key.text == Self.repository + "/" + text)
      #expect(RemoteKey(key.text) == key)
    }
  }

  @Test(
    "A text that is not exactly a name is rejected",
    arguments: [
      "", "/", "points", "points/", "points//", "points/000000000412", "points/000000000412/",
      "points/412/000000000431-000000000430-000007-6123-9f86d081884c7d65-backup_20261122_140258.pages.gz.enc",
      Self.name + "/", Self.name + "\0", Self.name + " ", Self.name + ".json", Self.name + ".enc", "x" + name,
      "/" + name,
      Self.name.replacing("6123", with: "06123"), Self.name.replacing("6123", with: "+6123"),
      Self.name.replacing("6123", with: "-6123"), Self.name.replacing("6123", with: "9223372036854775808"),
      Self.name.replacing("6123", with: "99999999999999999999999999"), Self.name.replacing("6123", with: "٦١٢٣"),
      Self.name.replacing("9f86", with: "9F86"), Self.name.replacing("9f86", with: "9f8"),
      Self.name.replacing("000007", with: "7"),
      Self.name.replacing("000007", with: "0000007"), Self.name.replacing("-000000000430-", with: "-full-"),
      Self.name.replacing("-000000000430-", with: "-000000000431-"),
      Self.name.replacing("-000000000430-", with: "-000000000411-"),
      Self.name.replacing("-000000000430-", with: "--"), Self.name.replacing(".pages", with: ".db"),
      Self.name.replacing(".pages", with: ".db.."), Self.name.replacing("backup_", with: "../"),
      Self.name.replacing("_140258", with: "_146058"), Self.name.replacing("points", with: "Points"),
      Self.full.replacing("-full-", with: "-FULL-"), Self.full.replacing("-full-", with: "-000000000411-"),
      Self.full.replacing("points/000000000412", with: "points/000000000411"),
      Self.full.replacing(".db", with: ".pages"),
      "writers/", "writers/7", "writers/000000", "writers/000007-", "writers/000007-ff", "writers/000007/x",
      "writers/00000a", "probe/", "probe/x", "probe/../../etc/passwd", "probe/0000000000000010/",
    ])
  func rejected(text: String) {
    #expect(RemoteName(text) == nil)
    #expect(RemoteObject(text) == nil)
    #expect(RemoteKey(Self.repository + "/" + text) == nil)
  }

  @Test("A folder that is not a repository ID is rejected")
  func repositories() throws {
    for folder in ["", "0011", Self.repository + "0", Self.repository.uppercased(), ".."] {
      #expect(RemoteKey(folder + "/" + Self.full) == nil)
    }
    #expect(RemoteKey(Self.full) == nil)
    #expect(RemoteKey(Self.repository) == nil)
  }

  @Test("Facts that contradict each other have no name")
  func contradictions() {
    let id = PointID(at: RetentionHistory.now)
    let pages = ArchiveName(id: id, content: .pages, compressed: true, encrypted: true)
    let image = ArchiveName(id: id, compressed: true, encrypted: true)
    func name(_ chain: Int64, _ sequence: Int64, _ parent: Int64?, _ archive: ArchiveName, epoch: Int = 1)
      -> RemoteName?
    { RemoteName(chain: chain, sequence: sequence, parent: parent, epoch: epoch, bytes: 1, hash: 1, archive: archive) }
    #expect(name(4, 9, 8, pages) != nil)
    #expect(name(9, 9, nil, image) != nil)
    #expect(name(4, 9, 9, pages) == nil)
    #expect(name(4, 9, 3, pages) == nil)
    #expect(name(4, 9, nil, image) == nil)
    #expect(name(4, 9, 8, image) == nil)
    #expect(name(9, 9, nil, pages) == nil)
    #expect(name(-1, 9, 8, pages) == nil)
    #expect(name(9, 9, nil, image, epoch: 1_000_000) == nil)
    #expect(name(1_000_000_000_000, 1_000_000_000_000, nil, image) == nil)
    #expect(WriterName(epoch: 0) == nil)
    #expect(WriterName(epoch: -1) == nil)
  }

  @Test("Every name reads back, is shorter than 200 bytes, and sorts by chain and sequence")
  func roundTrip() {
    var random = SeededGenerator(seed: 412_431)
    var names: [RemoteName] = []
    for _ in 0..<3000 {
      guard let name = Self.any(&random), let key = RemoteKey(repository: Self.repository, .archive(name)) else {
        Issue.record("valid facts have no name")
        return
      }
      names.append(name)
      guard RemoteKey(key.text) == key, RemoteName(name.text) == name, key.text.utf8.count + 5 < 200 else {
        Issue.record("\(key.text) does not read back")
        return
      }
    }
    let order = names.sorted().map { [$0.chain, $0.sequence] }
    #expect(zip(order, order.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) || $0 == $1 })
  }

  @Test("Damaged names are rejected or read back as they are")
  func damaged() {
    var random = SeededGenerator(seed: 7)
    let alphabet = Array("0123456789abcdef-/._Zé\0points".unicodeScalars)
    for _ in 0..<20_000 {
      var scalars = Array((random.chance(2) ? Self.name : Self.full).unicodeScalars)
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let position = Int.random(in: 0..<scalars.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: scalars[position] = random.pick(alphabet)
        case 1: scalars.remove(at: position)
        default: scalars.insert(random.pick(alphabet), at: position)
        }
      }
      var text = ""
      text.unicodeScalars.append(contentsOf: scalars)
      guard let object = RemoteObject(text), !object.text.utf8.elementsEqual(text.utf8) else { continue }
      Issue.record("\(text) reads as \(object)")
      return
    }
  }

  private static func any(_ random: inout SeededGenerator) -> RemoteName? {
    let limit = random.pick([9, 100_000, 999_999_999_999] as [Int64])
    let sequence = Int64.random(in: 2...limit, using: &random)
    let isFull = random.chance(3)
    let chain = isFull ? sequence : Int64.random(in: 0..<sequence, using: &random)
    let time = Timestamp(milliseconds: Int64.random(in: 0...4_000_000_000_000, using: &random))
    let id = PointID(at: time, number: random.pick([0, 1, 999, 10_000_000_000_000_000]))
    let archive = ArchiveName(
      id: id, content: isFull ? random.pick([.database, .raw]) : .pages, compressed: random.chance(2),
      encrypted: random.chance(2))
    return RemoteName(
      chain: chain, sequence: sequence, parent: isFull ? nil : Int64.random(in: chain..<sequence, using: &random),
      epoch: Int.random(in: 0...999_999, using: &random), bytes: Int64.random(in: 0 ... .max, using: &random),
      hash: random.next(), archive: archive)
  }
}
