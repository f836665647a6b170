import BackupEngine
import BackupPolicy
import CShims
import Glibc
import Names

/// The system calls that can fail if a resource is exhausted, so that tests can make them fail.
/// Each returns -1 with `errno`.
struct InotifyCalls: Sendable {
  /// Creates an instance.
  var open: @Sendable () -> Int32
  /// Watches a path with a mask, which replaces the previous mask; returns the watch's number.
  var add: @Sendable (_ instance: Int32, _ path: String, _ mask: UInt32) -> Int32

  static let system = InotifyCalls(
    open: { cshims_inotify() }, add: { inotify_add_watch($0, $1.raw, $2) })
}

/// One inotify instance: its watches by number, and its events. Belongs to one thread.
final class Inotify {
  /// The descriptor for `poll`.
  let descriptor: Int32
  private let calls: InotifyCalls
  /// Room for a few thousand events; the kernel requires room for at least one with the longest
  /// name.
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 8)

  /// - Throws: if the kernel provides no instance; their number is limited.
  init(_ calls: InotifyCalls) throws {
    self.calls = calls
    descriptor = calls.open()
    guard descriptor >= 0 else { throw Self.failure("watch files", "") }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    buffer.deallocate()
  }

  /// Watches a path, or changes its mask.
  ///
  /// - Returns: the number, which belongs to the inode: another path may share it.
  func add(_ path: String, _ mask: UInt32) throws -> Int32 {
    let number = calls.add(descriptor, path, mask)
    guard number >= 0 else { throw Self.failure("watch", path) }
    return number
  }

  /// Events of the watch may still be queued.
  func remove(_ number: Int32) {
    inotify_rm_watch(descriptor, number)
  }

  private static let mostReads = 256

  /// Reads the queued events. `body` receives the watch's number (negative: no watch), the mask and
  /// the entry's name, which is valid only during the call.
  func drain(_ body: (_ watch: Int32, _ mask: UInt32, _ name: UnsafeRawBufferPointer) -> Void) {
    // Some program may raise events as fast as they are read. A full queue needs about 70 reads.
    for _ in 0..<Self.mostReads {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      Self.parse(UnsafeRawBufferPointer(rebasing: buffer[..<count]), body)
    }
  }

  /// `struct inotify_event`: wd, mask, cookie, len (four bytes each), then `len` bytes of name
  /// padded with NUL.
  static func parse(
    _ bytes: UnsafeRawBufferPointer, _ body: (_ watch: Int32, _ mask: UInt32, _ name: UnsafeRawBufferPointer) -> Void
  ) {
    var offset = 0
    while offset + 16 <= bytes.count {
      let number = bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)
      let mask = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
      let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
      let end = min(bytes.count, offset + 16 + length)
      let name = bytes[offset + 16..<end].prefix { $0 != 0 }
      body(number, mask, UnsafeRawBufferPointer(rebasing: name))
      offset = end
    }
  }

  /// The kernel reports EMFILE for both limits: of inotify instances and of this process's open
  /// files.
  private static var isDescriptorLeft: Bool {
    let descriptor = dup(STDIN_FILENO)
    let code = errno
    if descriptor >= 0 { close(descriptor) }
    return descriptor >= 0 || code != EMFILE
  }

  private static func failure(_ verb: String, _ path: String) -> HoldfastError {
    let code = errno
    var error = HoldfastError(errno: code, verb, path)
    let what = path.isEmpty ? "cannot watch files" : "cannot watch \(path)"
    if code == ENOSPC {
      error.message = "\(what): the limit of inotify watches is reached"
      error.hint = "raise fs.inotify.max_user_watches; until then the files are polled"
    } else if code == EMFILE, isDescriptorLeft {
      error.message = "\(what): the limit of inotify instances is reached"
      error.hint = "raise fs.inotify.max_user_instances; until then the files are polled"
    }
    return error
  }
}
