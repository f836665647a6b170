@testable import BackupEngine
import FoundationEssentials
import Names
import Testing

@Suite("JSON")
struct JSONTests {
  private func parsed(_ text: String) -> JSONValue? { JSONValue(parsing: Array(text.utf8)) }

  @Test("Keys that differ only in spelling, or are not UTF-8, survive a write and a read")
  func keys() throws {
    var object = JSONObject()
    let names: [[UInt8]] = [
      Array("caf\u{e9}".utf8), Array("cafe\u{301}".utf8), [0x74, 0xff], [0x74, 0xfe], Array("t\u{fffd}".utf8), [],
    ]
    for (number, name) in names.enumerated() { object[name] = .integer(Int64(number)) }
    #expect(object.count == names.count)
    let bytes = JSONValue.object(object).encoded()
    #expect(JSONValue(parsing: bytes) == .object(object))
    let counts: [Identifier: Int64?] = ["caf\u{e9}": 1, "cafe\u{301}": nil, Identifier(bytes: [0xff]): 2]
    #expect([Identifier: Int64?](counts.json) == counts && counts.json != .object(object))
  }

  @Test("No character of JSON output acts on a terminal")
  func escapes() throws {
    let scalars = (0..<0x3000).compactMap { Unicode.Scalar(UInt32($0)) } + ["\u{feff}", "\u{e0001}", "\u{1f600}"]
    for scalar in scalars {
      let value = JSONValue.array([.string("<\(Character(scalar))>")])
      let bytes = value.encoded()
      let text = try #require(String(validating: bytes, as: UTF8.self))
      #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || !$0.isUnprintable }, "\(scalar.value)")
      #expect(JSONValue(parsing: bytes) == value, "\(scalar.value)")
      #expect(try JSONDecoder().decode([String].self, from: Data(bytes)) == ["<\(Character(scalar))>"])
    }
  }

  @Test(
    "A text that is not JSON is rejected",
    arguments: [
      "", " ", "{", "[", "[1", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "nul", "truee",
      "01",
      "-", "1.", ".5", "1e", "+1", "0x1", "NaN", "1 2", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
      "\"\\ud800\\u0041\"", "\"a\nb\"", "[1]]", "\u{feff}\u{feff}1", "1e999", "'a'", "[1 2]", "{\"a\" 1}",
    ])
  func malformed(text: String) {
    #expect(parsed(text) == nil)
  }

  @Test("Nesting has a limit")
  func depth() {
    #expect(parsed(String(repeating: "[", count: 200) + String(repeating: "]", count: 200)) != nil)
    #expect(parsed(String(repeating: "[", count: 100_000)) == nil)
    #expect(parsed(String(repeating: "{\"a\":", count: 100_000)) == nil)
  }

  @Test("Numbers, words and escapes are read in the usual way")
  func values() {
    let document =
      #" { "a" : [ 0, -0, 12, -7, 1.5, 2.0, 1e3, 9223372036854775807, 1e19, true, false, null ], "b":"\/\b\u00e9\ud83d\ude00" } "#
    #expect(
      parsed(document)
        == .object([
          "a": .array([
            .integer(0), .integer(0), .integer(12), .integer(-7), .number(1.5), .integer(2), .integer(1000),
            .integer(.max), .number(1e19), .bool(true), .bool(false), .null,
          ]), "b": .string("/\u{8}\u{e9}\u{1f600}"),
        ]))
    #expect(parsed("{\"a\":1,\"a\":2}") == .object(["a": .integer(2)]))
  }

  @Test("Texts are compared by bytes")
  func equality() {
    #expect(JSONValue.string("\u{e9}") != .string("e\u{301}") && JSONValue.string("a") == .string("a"))
  }
}
