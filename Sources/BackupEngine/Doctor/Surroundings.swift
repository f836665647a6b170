import BackupPolicy
import CShims
import Glibc
import Names
import SQLitePages

/// What the kernel tells of this machine and of places on it.
enum Surroundings {
  static func place(_ path: String) -> ExaminationFacts.Place {
    var place = ExaminationFacts.Place(path: path)
    if let status = (try? SystemFileOperations().status(path)).flatMap({ $0 }) {
      place.exists = true
      (place.owner, place.permissions, place.size) = (status.owner, status.permissions, status.size)
      place.device = status.device
    }
    // With the rights that opening would have.
    place.isReadable = faccessat(AT_FDCWD, path.raw, R_OK, AT_EACCESS) == 0
    place.isWritable = faccessat(AT_FDCWD, path.raw, W_OK, AT_EACCESS) == 0
    place.networkFileSystem = networkNames[cshims_file_system_type(path.raw)]
    let files = SystemFileOperations()
    if let capacity = try? files.capacity(path), capacity > 0 { place.free = try? files.freeSpace(path) }
    place.hasFineStamps = SQLitePages.FileFacts(path: path)?.hasFineStamps
    place.flushesFolders = place.exists ? FolderFlush.isSupported(path) : nil
    return place
  }

  /// The files of a repository that its owner cannot read; nil without any.
  static func lockedFiles(in repository: String) -> ExaminationFacts.LockedFiles? {
    let files = SystemFileOperations()
    guard let folder = (try? files.status(repository)).flatMap({ $0 }) else { return nil }
    var found: ExaminationFacts.LockedFiles?
    for place in [repository, "\(repository)/.metadata", "\(repository)/.state"] {
      for name in ((try? files.list(place)) ?? []).sorted() {
        let path = "\(place)/\(name)"
        guard let status = (try? files.status(path)).flatMap({ $0 }), status.owner != folder.owner,
          status.permissions & 0o004 == 0, status.group != folder.group || status.permissions & 0o040 == 0
        else { continue }
        found = .init(count: (found?.count ?? 0) + 1, path: found?.path ?? path, owner: found?.owner ?? status.owner)
      }
    }
    return found
  }

  /// `f_type` of statfs(2) for file systems that other machines, or programs in between, may write to.
  private static let networkNames: [UInt32: String] = [
    0x6969: "nfs", 0x517b: "smb", 0xff53_4d42: "cifs", 0xfe53_4d42: "smb", 0x6573_5546: "fuse", 0x0102_1997: "9p",
    0x5346_414f: "afs", 0x7375_7245: "coda", 0x0bd0_0bd0: "lustre", 0x00c3_6400: "ceph", 0x0116_1970: "gfs2",
    0x7461_636f: "ocfs2",
  ]

  static func number(_ path: String) -> Int64? {
    // Files in /proc have no size, so they are read by hand.
    guard let stream = fopen(path, "re") else { return nil }
    defer { fclose(stream) }
    var buffer = [UInt8](repeating: 0, count: 32)
    let count = fread(&buffer, 1, buffer.count, stream)
    return Int64(String(decoding: buffer.prefix(count).prefix { $0 != 10 }, as: UTF8.self))
  }

  /// Whether the kernel's clock is kept by a time server; nil where it may not be asked.
  static var clockIsKept: Bool? {
    let kept = cshims_clock_is_kept()
    return kept < 0 ? nil : kept == 1
  }

  /// Tries what the agent does; nil where it works.
  static func watchFailure(_ folder: String) -> String? {
    let descriptor = cshims_inotify()
    guard descriptor >= 0 else { return HoldfastError(errno: errno, "make an inotify instance for", folder).message }
    defer { close(descriptor) }
    guard inotify_add_watch(descriptor, folder.raw, UInt32(IN_MODIFY)) >= 0 else {
      return HoldfastError(errno: errno, "watch", folder).message
    }
    return nil
  }

  /// By the marks that Docker and Podman leave, and by the variable that both and systemd-nspawn set.
  static var isContainer: Bool {
    access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 || getenv("container") != nil
  }
}
