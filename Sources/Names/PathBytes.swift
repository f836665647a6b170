import Glibc

/// Paths are bytes, and Swift's strings are Unicode. If a path is not UTF-8, it must still be
/// usable as text and go back to the kernel unchanged. So each byte that is not part of a character
/// becomes a scalar of a private range, U+10FE80 to U+10FEFF.
extension String {
  private static let escapes: ClosedRange<UInt32> = 0x10FE80...0x10FEFF

  /// - Parameter path: as the kernel returns it, with a NUL at its end.
  package init(path: UnsafePointer<CChar>) {
    var count = 0
    while path[count] != 0 { count += 1 }
    self.init(pathBytes: UnsafeRawBufferPointer(start: path, count: count))
  }

  /// - Parameter bytes: of a path or a name, without a NUL.
  package init(pathBytes bytes: UnsafeRawBufferPointer) {
    guard bytes.contains(where: { $0 >= 0x80 }) else {
      self.init(decoding: bytes, as: UTF8.self)
      return
    }
    var scalars = String.UnicodeScalarView()
    var rest = bytes[...]
    while let first = rest.first {
      let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
      let character = String(validating: rest.prefix(length), as: UTF8.self)?.unicodeScalars
      if let character, character.count == 1, let scalar = character.first, !Self.escapes.contains(scalar.value) {
        scalars.append(scalar)
        rest = rest.dropFirst(length)
      } else {
        scalars.append(Unicode.Scalar(Self.escapes.lowerBound - 0x80 + UInt32(first)) ?? "\u{FFFD}")
        rest = rest.dropFirst()
      }
    }
    self.init(scalars)
  }

  /// The bytes of this path for the kernel, without a NUL.
  package var pathBytes: [UInt8] {
    guard mayHaveEscapes else { return Array(utf8) }
    return unicodeScalars.flatMap { $0.pathByte.map { [$0] } ?? Array(UTF8.encode($0) ?? .init()) }
  }

  /// The same with a NUL, for system calls.
  package var raw: [CChar] {
    mayHaveEscapes ? pathBytes.map { CChar(bitPattern: $0) } + [0] : Array(utf8CString)
  }

  /// Whether some byte is the first one of the private range's characters.
  private var mayHaveEscapes: Bool {
    utf8.withContiguousStorageIfAvailable { bytes in
      bytes.baseAddress.map { memchr($0, 0xF4, bytes.count) != nil } ?? false
    } ?? utf8.contains(0xF4)
  }

  /// The text with `%E9` for each byte that is not part of a character: a name that people can type.
  package var percentEncodingBytes: String {
    unicodeScalars.map { scalar in
      scalar.pathByte.map { "%" + String($0, radix: 16, uppercase: true) } ?? String(scalar)
    }.joined()
  }
}

extension Unicode.Scalar {
  /// The byte of a path that this scalar represents; nil if it is a character.
  package var pathByte: UInt8? {
    (0x10FE80...0x10FEFF).contains(value) ? UInt8(value - 0x10FE00) : nil
  }
}
