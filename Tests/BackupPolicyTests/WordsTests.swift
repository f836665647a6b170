import Testing

@testable import BackupPolicy

@Suite struct WordsTests {
  @Test(
    arguments: [
      (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 * 1024 - 1, "10 KiB"), (536_576, "524 KiB"),
      (1_047_961, "1023 KiB"), (1_048_064, "1 MiB"), (1_048_575, "1 MiB"), (16 << 20, "16 MiB"), (-1536, "-1.5 KiB"),
      (5 << 40, "5 TiB"),
      (.max, "8 EiB"),
      (.min, "-8 EiB"), ((1 << 60) - 1, "1 EiB"),
    ] as [(Int64, String)])
  func byteCounts(bytes: Int64, text: String) {
    #expect(ByteCount(bytes).description == text)
  }

  @Test(
    arguments: [
      (0, "0 s"), (1, "1 ms"), (500, "500 ms"), (5000, "5 s"), (90_000, "90 s"), (120_000, "2 min"), (7_200_000, "2 h"),
      (86_400_000, "1 day"), (604_800_000, "7 days"),
    ] as [(Int64, String)])
  func durations(milliseconds: Int64, text: String) {
    #expect(Words.duration(milliseconds: milliseconds) == text)
  }

  @Test func sumsAndProductsThatDoNotFit() {
    #expect(Int64.max.addingClamped(1) == .max && Int64.min.addingClamped(-1) == .min)
    #expect(Int64.max.multipliedClamped(by: 2) == .max && Int64.max.multipliedClamped(by: -2) == .min)
    #expect(Int64.min.multipliedClamped(by: -1) == .max && Int64(6).multipliedClamped(by: -7) == -42)
  }
}
