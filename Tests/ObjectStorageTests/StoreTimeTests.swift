import Names
import TestSupport
import Testing

@testable import ObjectStorage

@Suite struct StoreTimeTests {
  @Test func datesOfHTTPAreRead() {
    #expect(StoreTime.parse(httpDate: "Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777_000)
    for text in [
      "", "Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "x",
    ] {
      #expect(StoreTime.parse(httpDate: text) == nil)
    }
  }

  @Test func datesOfISO8601AreRead() {
    #expect(StoreTime.parse(iso8601: "1994-11-06T08:49:37Z") == 784_111_777_000)
    #expect(StoreTime.parse(iso8601: "1994-11-06T08:49:37.5Z") == 784_111_777_500)
    #expect(StoreTime.parse(iso8601: "1994-11-06T08:49:37.123456789+00:00") == 784_111_777_123)
    #expect(StoreTime.parse(iso8601: "1994-11-06T09:49:37+01:00") == 784_111_777_000)
    #expect(StoreTime.parse(iso8601: "1994-11-06T03:19:37-05:30") == 784_111_777_000)
    for text in [
      "", "1994-11-06", "1994-11-06T08:49:37", "1994-13-06T08:49:37Z", "1994-11-06T08:49:37.Z", "1994-11-06 08:49:37Z",
    ] {
      #expect(StoreTime.parse(iso8601: text) == nil)
    }
  }

  /// Both directions agree on each day of four centuries.
  @Test func daysComeBack() {
    for day in Int64(0)..<146_097 {
      let time = (day * 86400 + 12_345) * 1000
      let text = StoreTime.basic(time)
      let long = "\(text.prefix(4))-\(text.dropFirst(4).prefix(2))-\(text.dropFirst(6).prefix(2))T03:25:45Z"
      guard StoreTime.parse(iso8601: long) == time else {
        Issue.record("\(text)")
        return
      }
    }
    #expect(StoreTime.basic(951_782_400_000) == "20000229T000000Z")
  }

  @Test func digestsAsText() {
    #expect([UInt8]("".utf8).base64Text == "" && [UInt8]("f".utf8).base64Text == "Zg==")
    #expect([UInt8]("fo".utf8).base64Text == "Zm8=" && [UInt8]("foo".utf8).base64Text == "Zm9v")
    #expect([0, 15, 255].hexText == "000fff")
    #expect(Digest.sha256([]).hexText == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(PercentEncoding.decode("a+%41%7e".utf8, plusIsSpace: true) == Array("a A~".utf8))
    for text in ["%", "%4", "%zz", "%+1"] { #expect(PercentEncoding.decode(text.utf8, plusIsSpace: false) == nil) }
  }
}
