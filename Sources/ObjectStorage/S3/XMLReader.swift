/// An element of a small XML document.
struct XMLElement {
  /// Without a prefix of a namespace.
  var name: String
  /// The characters directly in it, without those of its children.
  var text: [UInt8] = []
  var children: [XMLElement] = []

  func children(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }
  func first(_ name: String) -> XMLElement? { children.first { $0.name == name } }
  /// The text of a child; nil if there is no such child.
  func text(_ name: String) -> String? { first(name).map { String(decoding: $0.text, as: UTF8.self) } }
}

/// Reads the XML that stores send: elements, text, attributes (skipped), comments, the five named
/// entities and numbers of characters. It refuses everything else, among it document types, so that
/// no entity can grow or read files. Depth and number of elements are bounded.
///
/// The grammar: https://www.w3.org/TR/xml/
struct XMLReader {
  struct Failure: Error, Equatable {
    let reason: String
    static func malformed(_ reason: String) -> Failure { Failure(reason: reason) }
  }

  private static let maximumDepth = 16
  private static let maximumElements = 100_000

  private let bytes: [UInt8]
  private var position = 0
  private var elements = 0

  /// - Parameter bytes: UTF-8.
  static func read(_ bytes: [UInt8]) throws(Failure) -> XMLElement {
    var reader = XMLReader(bytes)
    try reader.skipMisc()
    let root = try reader.element(depth: 1)
    try reader.skipMisc()
    guard reader.position == bytes.count else { throw Failure.malformed("there is text behind the document") }
    return root
  }

  private init(_ bytes: [UInt8]) {
    self.bytes = bytes
    // A byte order mark.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  // MARK: Elements

  private mutating func element(depth: Int) throws(Failure) -> XMLElement {
    guard depth <= Self.maximumDepth else { throw Failure.malformed("elements are nested too deeply") }
    elements += 1
    guard elements <= Self.maximumElements else { throw Failure.malformed("there are too many elements") }
    try expect("<")
    let tag = try name()
    var element = XMLElement(name: Self.local(tag))
    if try skipAttributes() { return element }
    while true {
      if skip("</") {
        guard try name() == tag else { throw Failure.malformed("the end of <\(element.name)> is missing") }
        skipSpace()
        try expect(">")
        return element
      }
      if skip("<!--") {
        try skipThrough("-->")
      } else if peek == UInt8(ascii: "<") {
        element.children.append(try self.element(depth: depth + 1))
      } else {
        try readText(into: &element.text)
      }
    }
  }

  /// Returns true if the element is empty (`/>`).
  private mutating func skipAttributes() throws(Failure) -> Bool {
    while true {
      let hadSpace = skipSpace()
      if skip("/>") { return true }
      if skip(">") { return false }
      guard hadSpace else { throw Failure.malformed("an attribute is not separated") }
      _ = try name()
      skipSpace()
      try expect("=")
      skipSpace()
      guard let quote = peek, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
        throw Failure.malformed("an attribute has no value")
      }
      position += 1
      while let byte = peek, byte != quote, byte != UInt8(ascii: "<") { position += 1 }
      guard peek == quote else { throw Failure.malformed("the value of an attribute has no end") }
      position += 1
    }
  }

  private mutating func readText(into text: inout [UInt8]) throws(Failure) {
    while let byte = peek, byte != UInt8(ascii: "<") {
      if byte == UInt8(ascii: "&") {
        text += try entity()
      } else {
        text.append(byte)
        position += 1
      }
    }
    guard peek != nil else { throw Failure.malformed("it ends within an element") }
  }

  private mutating func entity() throws(Failure) -> [UInt8] {
    let rest = bytes[(position + 1)...].prefix(12)
    guard let end = rest.firstIndex(of: UInt8(ascii: ";")) else { throw Failure.malformed("an entity has no end") }
    let name = String(decoding: bytes[(position + 1)..<end], as: UTF8.self)
    position = end + 1
    switch name {
    case "amp": return Array("&".utf8)
    case "lt": return Array("<".utf8)
    case "gt": return Array(">".utf8)
    case "quot": return Array("\"".utf8)
    case "apos": return Array("'".utf8)
    default:
      let digits = name.dropFirst(name.hasPrefix("#x") ? 2 : 1)
      let number = UInt32(digits, radix: name.hasPrefix("#x") ? 16 : 10)
      guard name.hasPrefix("#"), digits.first != "+", let number, number > 0, let scalar = Unicode.Scalar(number) else {
        throw Failure.malformed("it has an unknown entity")
      }
      return Array(UTF8.encode(scalar) ?? .init())
    }
  }

  // MARK: Tokens

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Space, comments, and declarations such as `<?xml …?>`, outside of the root.
  private mutating func skipMisc() throws(Failure) {
    while true {
      skipSpace()
      if skip("<?") {
        try skipThrough("?>")
      } else if skip("<!--") {
        try skipThrough("-->")
      } else {
        return
      }
    }
  }

  private mutating func name() throws(Failure) -> [UInt8] {
    let start = position
    while let byte = peek, Self.isName(byte) { position += 1 }
    let name = Array(bytes[start..<position])
    guard let first = name.first, first != UInt8(ascii: "-"), name.count <= 256 else {
      throw Failure.malformed("a name is missing or too long")
    }
    return name
  }

  private static func isName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"),
      0x80...0xFF:
      true
    default: false
    }
  }

  private static func local(_ name: [UInt8]) -> String {
    String(decoding: name.split(separator: UInt8(ascii: ":")).last ?? [], as: UTF8.self)
  }

  @discardableResult private mutating func skipSpace() -> Bool {
    let start = position
    while let byte = peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    return position > start
  }

  private mutating func skip(_ text: StaticString) -> Bool {
    let found = text.withUTF8Buffer { bytes[position...].starts(with: $0) }
    if found { position += text.utf8CodeUnitCount }
    return found
  }

  private mutating func expect(_ text: StaticString) throws(Failure) {
    guard skip(text) else { throw Failure.malformed("\(text) is missing") }
  }

  private mutating func skipThrough(_ text: StaticString) throws(Failure) {
    while position < bytes.count {
      if skip(text) { return }
      position += 1
    }
    throw Failure.malformed("\(text) is missing")
  }
}
