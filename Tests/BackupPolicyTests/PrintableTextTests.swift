import Names
import Testing

@Suite("Text for people")
struct PrintableTextTests {
  @Test("Characters that a terminal, a log or a mail acts on are spelled out")
  func controls() {
    let acting =
      (0..<0x20).map { UInt32($0) } + Array(0x7f...0x9f) + [0x61c, 0x200e, 0x200f, 0x2028, 0x2029]
      + Array(0x202a...0x202e) + Array(0x2066...0x2069) + [0xfeff]
    for value in acting {
      let scalar = Unicode.Scalar(value)!
      let text = "a\(Character(scalar))b"
      #expect(scalar.isUnprintable && !text.printable.unicodeScalars.contains(scalar), "\(value)")
      #expect(text.printable != "ab" && text.printable.printable == text.printable, "\(value)")
      let line = text.printableLine
      #expect(line == text.printable || value == 9 && line == text, "\(value)")
    }
    #expect("a\u{1b}[2Jb\n\t".printable == "a\\u{1b}[2Jb\\n\\t")
  }

  @Test("Characters that are only shown stay as they are")
  func letters() {
    for text in ["", "caf\u{e9}", "cafe\u{301}", "\u{5d0}\u{627}", "\u{1f469}\u{200d}\u{1f4bb}", "a b", "→ ✓ …"] {
      #expect(text.printable.utf8.elementsEqual(text.utf8) && text.printableLine.utf8.elementsEqual(text.utf8))
    }
  }

  @Test("Lines are split at their ends, and nothing is lost")
  func lines() {
    #expect("a\nb\r\n\nc".lines == ["a", "b", "", "c"] && "".lines == [""])
  }

  @Test("Bytes that are not UTF-8 are kept distinct")
  func bytes() {
    #expect([0x74, 0xff].text == "t\\xff" && [0x74, 0xfe].text == "t\\xfe" && Array("é".utf8).text == "é")
    #expect([0xe2, 0x82].text == "\\xe2\\x82" && [0xc3, 0xa9, 0x80].text == "é\\x80")
  }
}
