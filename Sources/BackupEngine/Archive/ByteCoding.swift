/// Builds big-endian byte tables.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func integer(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func raw(_ data: some Sequence<UInt8>) {
    bytes.append(contentsOf: data)
  }

  /// A two-byte length and the text's UTF-8.
  mutating func shortText(_ text: String) {
    integer(UInt16(text.utf8.count))
    raw(text.utf8)
  }

  /// Tag (2 bytes), length (4 bytes), bytes.
  mutating func field(_ tag: UInt16, _ data: some Collection<UInt8>) {
    integer(tag)
    integer(UInt32(data.count))
    raw(data)
  }

  /// Overwrites a 4-byte integer written earlier.
  mutating func patch(_ value: UInt32, at offset: Int) {
    withUnsafeBytes(of: value.bigEndian) { bytes.replaceSubrange(offset..<(offset + 4), with: $0) }
  }
}

/// Reads big-endian byte tables; every read is checked and gives nil past the end.
struct ByteReader {
  private let bytes: ArraySlice<UInt8>
  private(set) var position: Int

  init(_ bytes: some Collection<UInt8>) {
    self.bytes = Array(bytes)[...]
    position = 0
  }

  var remaining: Int { bytes.count - position }

  mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value? {
    guard let raw = raw(MemoryLayout<Value>.size) else { return nil }
    return raw.reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
  }

  mutating func raw(_ count: Int) -> [UInt8]? {
    guard count >= 0, count <= remaining else { return nil }
    defer { position += count }
    return Array(bytes[position..<(position + count)])
  }

  mutating func shortText() -> String? {
    integer(UInt16.self).flatMap { raw(Int($0)) }.flatMap { String(validating: $0, as: UTF8.self) }
  }

  /// Tagged fields up to the end, the last of each tag winning; nil where one is cut short.
  mutating func fields() -> [UInt16: [UInt8]]? {
    var result: [UInt16: [UInt8]] = [:]
    while remaining > 0 {
      guard let tag = integer(UInt16.self), let count = integer(UInt32.self), let data = raw(Int(count)) else {
        return nil
      }
      result[tag] = data
    }
    return result
  }
}
