import Names
import Testing

@Suite struct PathBytesTests {
  /// A path comes back with the same bytes, whatever they are.
  @Test(arguments: [
    Array("/srv/caf\u{e9}".utf8), [0x63, 0xE9], [0xE9], [0xC3], [0xE2, 0x82], [0xF4, 0x8F, 0xBA, 0x80], [0x80, 0xFF],
    [0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xF0, 0x9F, 0x98, 0x80, 0xF0, 0x9F], [], Array(UInt8(1)...255),
  ])
  func everyPathComesBack(bytes: [UInt8]) {
    let text = bytes.withUnsafeBytes { String(pathBytes: $0) }
    #expect(text.pathBytes == bytes)
    #expect(text.raw == bytes.map { CChar(bitPattern: $0) } + [0])
  }

  @Test func textStaysText() {
    let text = Array("caf\u{e9} \u{1F600}".utf8).withUnsafeBytes { String(pathBytes: $0) }
    #expect(text == "caf\u{e9} \u{1F600}" && text.percentEncodingBytes == text)
    let latin = [UInt8(ascii: "c"), 0xE9].withUnsafeBytes { String(pathBytes: $0) }
    #expect(latin.percentEncodingBytes == "c%E9" && latin + "-wal" != "c-wal")
  }
}
