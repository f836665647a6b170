/// A path, or a name in a folder, compared byte for byte. Swift's strings are equal where they look equal (é has two
/// spellings); files are not.
struct ExactName: Hashable, Sendable, CustomStringConvertible {
  private let bytes: [UInt8]

  init(_ text: String) {
    bytes = Array(text.utf8)
  }

  /// Invalid UTF-8 is shown, not kept: whoever asks the kernel does so with the text that a person gave.
  var description: String { String(decoding: bytes, as: UTF8.self) }

  static func == (name: ExactName, raw: UnsafeRawBufferPointer) -> Bool {
    name.bytes.count == raw.count && name.bytes.elementsEqual(raw)
  }
}
