import Glibc

/// Reads `/proc`, whose files have no size.
package enum ProcFile {
  /// The first bytes of a file, as text; nil if it cannot be read.
  package static func text(_ path: String, limit: Int = 512) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: min(limit, 16384))
    // A call returns at most some pages of a longer file.
    while text.count < limit {
      let count = read(file, &buffer, min(buffer.count, limit - text.count))
      guard count >= 0 else { return nil }
      if count == 0 { break }
      text += buffer.prefix(count)
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The first line of a file; nil if it is empty or cannot be read.
  package static func line(_ path: String) -> String? {
    guard let line = text(path)?.prefix(while: { $0 != "\n" }), !line.isEmpty else { return nil }
    return String(line)
  }

  /// The kernel's name for the namespace of this process's ID, `pid:[4026531836]`; nil if it cannot be read.
  package static let processNamespace: String? = {
    var buffer = [CChar](repeating: 0, count: 64)
    guard readlink("/proc/self/ns/pid", &buffer, buffer.count - 1) > 0 else { return nil }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  /// The kernel's name for this start of the machine, which containers share; nil if it cannot be read: systemd's
  /// `ProcSubset=pid` and some containers hide it.
  package static let bootID: String? = line("/proc/sys/kernel/random/boot_id")
}
