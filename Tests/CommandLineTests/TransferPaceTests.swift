import Testing

@testable import holdfast

@Suite("Speed and time left of a transfer")
struct TransferPaceTests {
  private static let mebibyte: Int64 = 1 << 20

  @Test("The first second shows nothing, then the speed and the time left follow")
  func beginning() {
    var pace = TransferPace()
    #expect(pace.record(0, of: 100 * Self.mebibyte, at: 5000) == "")
    #expect(pace.record(5 * Self.mebibyte, of: 100 * Self.mebibyte, at: 5500) == "")
    #expect(pace.record(10 * Self.mebibyte, of: 100 * Self.mebibyte, at: 6000) == "10 MiB/s, 9 s left")
    #expect(pace.record(100 * Self.mebibyte, of: 100 * Self.mebibyte, at: 15_000).hasSuffix("/s"))
  }

  @Test("Only the last five seconds count")
  func change() {
    var pace = TransferPace()
    for second in 0...10 { _ = pace.record(Int64(second) * Self.mebibyte, of: 1 << 30, at: Int64(second) * 1000) }
    var text = ""
    for second in 11...20 {
      text = pace.record((10 + Int64(second - 10) * 10) * Self.mebibyte, of: 1 << 30, at: Int64(second) * 1000)
    }
    #expect(text == "10 MiB/s, 1 min 32 s left")
  }

  @Test("A transfer that begins, or that sends bytes again, is measured anew; one that stands shows nothing")
  func again() {
    var pace = TransferPace()
    _ = pace.record(0, of: 1000, at: 0)
    #expect(pace.record(500, of: 1000, at: 2000) != "")
    #expect(pace.record(0, of: 1000, at: 2500) == "")
    #expect(pace.record(0, of: 1000, at: 9000) == "")
    #expect(TransferPace.measures("sending") && TransferPace.measures("fetching") && !TransferPace.measures("checking"))
  }
}
