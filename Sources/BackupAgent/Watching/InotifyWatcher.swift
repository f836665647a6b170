import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// Watches the folder of a database. Belongs to one thread, which polls ``descriptor`` and then calls ``drain()``.
///
/// The folder and not the file: a file that is moved over the database, or created where there was none, is only seen
/// there. Events that are not about the database are read and dropped.
final class InotifyWatcher {
  /// For `poll`; -1, which `poll` ignores, where there is no inotify.
  let descriptor: Int32
  private(set) var path: WatchedPath
  /// The kernel's number of the watch; nil while nothing is watched.
  private var watch: Int32?
  /// Room for a few thousand events; the kernel wants at least one with its longest name.
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 8)

  /// - Throws: where the kernel gives no inotify instance (their number is limited); an agent can still poll.
  static func open(_ path: WatchedPath) throws -> InotifyWatcher {
    let descriptor = cshims_inotify()
    guard descriptor >= 0 else { throw failure("watch", path.folder) }
    return InotifyWatcher(descriptor, path)
  }

  /// A watcher that sees nothing.
  static func blind(_ path: WatchedPath) -> InotifyWatcher { InotifyWatcher(-1, path) }

  private init(_ descriptor: Int32, _ path: WatchedPath) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    buffer.deallocate()
  }

  /// There is no inotify: nothing will ever be seen.
  var isBlind: Bool { descriptor < 0 }
  var isWatching: Bool { watch != nil }

  /// Begins to watch, or watches another folder.
  ///
  /// - Throws: where the folder is missing or may not be read, or where the limit of watches is reached.
  func start(_ path: WatchedPath) throws {
    guard !isBlind else { return }
    stop()
    self.path = path
    let result = inotify_add_watch(descriptor, path.folder, ChangeEvent.mask)
    guard result >= 0 else { throw Self.failure("watch", path.folder) }
    watch = result
  }

  /// Events of a watch that was removed may still be waiting; ``drain()`` drops them by its number.
  func stop() {
    guard let watch else { return }
    inotify_rm_watch(descriptor, watch)
    self.watch = nil
  }

  /// What has happened since the last call, each kind once.
  func drain() -> Set<ChangeEvent> {
    var events: Set<ChangeEvent> = []
    while true {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return events }
      parse(UnsafeRawBufferPointer(rebasing: buffer[..<count]), into: &events)
      if events.contains(.folderLost) { stop() }
    }
  }

  /// `struct inotify_event`: wd, mask, cookie, len (four bytes each), then `len` bytes of name padded with NUL.
  private func parse(_ bytes: UnsafeRawBufferPointer, into events: inout Set<ChangeEvent>) {
    var offset = 0
    while offset + 16 <= bytes.count {
      let number = bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)
      let mask = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
      let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
      let end = min(bytes.count, offset + 16 + length)
      let name = String(decoding: bytes[offset + 16..<end].prefix { $0 != 0 }, as: UTF8.self)
      // An overflow belongs to no watch.
      if number == watch || number < 0, let event = ChangeEvent(mask: mask, name: name, database: path.name) {
        events.insert(event)
      }
      offset = end
    }
  }

  private static func failure(_ verb: String, _ folder: String) -> HoldfastError {
    let code = errno
    var error = HoldfastError(errno: code, verb, folder)
    if code == ENOSPC {
      error.message = "cannot watch \(folder): the limit of inotify watches is reached"
      error.hint = "raise fs.inotify.max_user_watches; until then the files are looked at from time to time"
    } else if code == EMFILE {
      error.message = "cannot watch \(folder): the limit of inotify instances is reached"
      error.hint = "raise fs.inotify.max_user_instances; until then the files are looked at from time to time"
    }
    return error
  }
}
