/// Reads JSON (RFC 8259) whose keys stay bytes.
struct JSONParser {
  private let bytes: [UInt8]
  private var place = 0
  private var depth = 0

  /// No document of ours nests deeper; a forged document must not use up the stack.
  private static let deepest = 256

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The one value in the text; nil if the text is not JSON.
  mutating func document() -> JSONValue? {
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { place = 3 }
    guard let value = value() else { return nil }
    skipSpace()
    return place == bytes.count ? value : nil
  }

  private mutating func value() -> JSONValue? {
    skipSpace()
    switch peek {
    case UInt8(ascii: "{"): return nested { $0.object() }
    case UInt8(ascii: "["): return nested { $0.array() }
    case UInt8(ascii: "\""): return string().flatMap { String(validating: $0, as: UTF8.self) }.map { .string($0) }
    case UInt8(ascii: "t"): return word("true") ? .bool(true) : nil
    case UInt8(ascii: "f"): return word("false") ? .bool(false) : nil
    case UInt8(ascii: "n"): return word("null") ? .null : nil
    default: return number()
    }
  }

  private mutating func nested(_ read: (inout JSONParser) -> JSONValue?) -> JSONValue? {
    guard depth < Self.deepest else { return nil }
    depth += 1
    defer { depth -= 1 }
    place += 1
    return read(&self)
  }

  private mutating func array() -> JSONValue? {
    var items: [JSONValue] = []
    if consume("]") { return .array(items) }
    repeat {
      guard let item = value() else { return nil }
      items.append(item)
    } while consume(",")
    return consume("]") ? .array(items) : nil
  }

  private mutating func object() -> JSONValue? {
    var object = JSONObject()
    if consume("}") { return .object(object) }
    repeat {
      skipSpace()
      guard peek == UInt8(ascii: "\""), let key = string(), consume(":"), let value = value() else { return nil }
      object[key] = value
    } while consume(",")
    return consume("}") ? .object(object) : nil
  }

  // MARK: Strings

  private mutating func string() -> [UInt8]? {
    place += 1
    var text: [UInt8] = []
    while true {
      let run = ordinaryRun()
      text += bytes[run]
      place = run.upperBound
      switch next() {
      case UInt8(ascii: "\""): return text
      case UInt8(ascii: "\\"):
        guard let escaped = escape() else { return nil }
        text += escaped
      default: return nil
      }
    }
  }

  /// The bytes from here to the end of the string, the next escape or a control character.
  private func ordinaryRun() -> Range<Int> {
    bytes.withUnsafeBufferPointer { bytes in
      var end = place
      while end < bytes.count, bytes[end] >= 0x20, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\") {
        end += 1
      }
      return place..<end
    }
  }

  private mutating func escape() -> [UInt8]? {
    guard let letter = next() else { return nil }
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0c]
    case UInt8(ascii: "n"): return [0x0a]
    case UInt8(ascii: "r"): return [0x0d]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"): return unit().flatMap { character($0) }
    default: return nil
    }
  }

  private mutating func character(_ unit: UInt32) -> [UInt8]? {
    switch unit {
    case 0xd800..<0xdc00:
      guard next() == UInt8(ascii: "\\"), next() == UInt8(ascii: "u"), let low = self.unit(),
        (0xdc00..<0xe000).contains(low)
      else { return nil }
      return Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)).map { Array(String($0).utf8) }
    // A byte that is not UTF-8: see JSONWriter.
    case 0xdc80..<0xdd00: return [UInt8(unit - 0xdc00)]
    default: return Unicode.Scalar(unit).map { Array(String($0).utf8) }
    }
  }

  private mutating func unit() -> UInt32? {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
      unit = unit << 4 | UInt32(digit)
    }
    return unit
  }

  // MARK: Numbers and words

  private mutating func number() -> JSONValue? {
    let start = place
    _ = accept("-")
    if !accept("0") { guard digits() else { return nil } }
    var isWhole = true
    if accept(".") {
      isWhole = false
      guard digits() else { return nil }
    }
    if accept("e") || accept("E") {
      isWhole = false
      if !accept("+") { _ = accept("-") }
      guard digits() else { return nil }
    }
    let text = String(decoding: bytes[start..<place], as: UTF8.self)
    if isWhole, let value = Int64(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { return nil }
    return Int64(exactly: value).map { .integer($0) } ?? .number(value)
  }

  private mutating func digits() -> Bool {
    let start = place
    while let byte = peek, byte >= 0x30, byte <= 0x39 { place += 1 }
    return place > start
  }

  private mutating func word(_ word: StaticString) -> Bool {
    let expected = word.withUTF8Buffer { Array($0) }
    guard bytes[place...].starts(with: expected) else { return false }
    place += expected.count
    return true
  }

  private var peek: UInt8? { place < bytes.count ? bytes[place] : nil }

  private mutating func next() -> UInt8? {
    guard let byte = peek else { return nil }
    place += 1
    return byte
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    place += 1
    return true
  }

  private mutating func consume(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    return accept(character)
  }

  private mutating func skipSpace() {
    place = bytes.withUnsafeBufferPointer { bytes in
      var end = place
      while end < bytes.count, bytes[end] == 0x20 || bytes[end] == 0x0a || bytes[end] == 0x0d || bytes[end] == 0x09 {
        end += 1
      }
      return end
    }
  }
}
