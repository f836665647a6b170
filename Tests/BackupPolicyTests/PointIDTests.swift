import TestSupport
import Testing

@testable import BackupPolicy

@Suite struct PointIDTests {
  @Test(
    "A valid ID is accepted",
    arguments: [
      "backup_20231116_143022", "backup_20231116_143022_001", "backup_20240229_235959_1000", "backup_00010101_000000",
      "backup_99991231_235959",
    ])
  func accepted(text: String) throws {
    let id = try #require(PointID(text))
    #expect(id.text == text)
    #expect("\(id)" == text)
  }

  @Test(
    "A name that is not an ID is rejected",
    arguments: [
      "", "_", "backup", "backup__", "backup___", "../../etc/passwd", "backup_20231116_143022/../../etc/passwd",
      "backup_20231116_143022_1", "backup_20231116_143022_01", "backup_20231116_143022_", "backup_20231116_143022_0a1",
      "backup_20231116_143022_001_001", "backup_20231116_143022.db", "backup_20231116_143022\0",
      "backup_20231116_143022\n",
      " backup_20231116_143022", "Backup_20231116_143022", "backup_20230229_143022", "backup_20231316_143022",
      "backup_20231116_243022", "backup_20231116_146022", "backup_20231116_143060", "backup_00000101_000000",
      "backup_٢٠٢٣١١١٦_143022", "backup_２０２３１１１６_143022", "backup_20231116_14302²", "backup_-0231116_143022",
      "backup_+0231116_143022", "backup_20231116_143022_99999999999999999999999999",
    ])
  func refused(text: String) {
    #expect(PointID(text) == nil)
  }

  @Test func tenKilobytes() {
    #expect(PointID(String(repeating: "a", count: 10_240)) == nil)
    #expect(PointID("backup_20231116_143022_" + String(repeating: "1", count: 10_240)) == nil)
    #expect(PointID(String(repeating: "_", count: 10_240)) == nil)
  }

  @Test func ofATime() throws {
    let time = try #require(Timestamp(iso8601: "2023-11-16T14:30:22.999Z"))
    #expect(PointID(at: time).text == "backup_20231116_143022")
    #expect(PointID(at: time, number: 7).text == "backup_20231116_143022_007")
    #expect(PointID(at: time, number: 12345).text == "backup_20231116_143022_12345")
    #expect(PointID(at: time).second.iso8601 == "2023-11-16T14:30:22.000Z")
    let before = try #require(Timestamp(iso8601: "1969-12-31T23:59:59.999Z"))
    #expect(PointID(at: before).text == "backup_19691231_235959")
  }

  @Test func everyMadeIDReadsBack() {
    var random = SeededGenerator(seed: 143_022)
    for _ in 0..<5000 {
      let id = PointID(
        at: Timestamp(
          milliseconds: Int64.random(in: .min ... .max, using: &random) >> Int.random(in: 0..<40, using: &random)),
        number: random.pick([0, 1, 99, 999, 1000, 10_000_000_000_000_000]))
      guard PointID(id.text) == id else {
        Issue.record("\(id.text) does not read back")
        return
      }
    }
  }

  @Test("An ID needs no allocation: an agent remembers thousands")
  func compact() {
    #expect(_isPOD(PointID.self) && MemoryLayout<PointID>.stride <= 24)
  }
}
