import Names

/// A path, or a name in a folder, compared byte for byte. Swift's strings are equal where they look equal (é has two
/// spellings); files are not.
struct ExactName: Hashable, Sendable, CustomStringConvertible {
  private let bytes: [UInt8]

  init(_ text: String) {
    bytes = text.pathBytes
  }

  var description: String { bytes.withUnsafeBytes { String(pathBytes: $0) } }

  static func == (name: ExactName, raw: UnsafeRawBufferPointer) -> Bool {
    name.bytes.count == raw.count && name.bytes.elementsEqual(raw)
  }
}
