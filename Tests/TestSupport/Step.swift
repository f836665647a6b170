import BackupEngine
import Glibc

/// One file operation that can fail, as the twins of ``FileOperations`` number and record it.
struct Step: Sendable {
  enum Kind: Sendable {
    case open(OpenMode)
    case read(Int, at: Int64)
    case write(Int, at: Int64)
    case sync, size, status, list, makeFolder, unlink, syncFolder, setAttributes, copyExtendedAttributes, freeSpace
    case lock(exclusive: Bool)
    case rename(to: String)
  }

  var kind: Kind
  var path: String

  init(_ kind: Kind, _ path: String) {
    self.kind = kind
    self.path = path
  }
}

extension Step: CustomStringConvertible {
  var description: String {
    switch kind {
    case .open(let mode): "open \(path) (\(mode))"
    case .read(let count, let offset): "read \(path) (\(count) bytes at \(offset))"
    case .write(let count, let offset): "write \(path) (\(count) bytes at \(offset))"
    case .sync: "sync \(path)"
    case .size: "size \(path)"
    case .status: "status \(path)"
    case .list: "list \(path)"
    case .makeFolder: "makeFolder \(path)"
    case .unlink: "unlink \(path)"
    case .syncFolder: "syncFolder \(path)"
    case .setAttributes: "setAttributes \(path)"
    case .copyExtendedAttributes: "copyExtendedAttributes \(path)"
    case .freeSpace: "freeSpace \(path)"
    case .lock(let exclusive): "lock \(path) (\(exclusive ? "exclusive" : "shared"))"
    case .rename(let to): "rename \(path) → \(to)"
    }
  }

  /// The failed operation and its path, in the words of `SystemFileOperations`.
  var failure: (verb: String, path: String) {
    switch kind {
    case .open: ("open", path)
    case .read: ("read", path)
    case .write: ("write", path)
    case .sync, .syncFolder: ("flush", path)
    case .size, .status: ("stat", path)
    case .list: ("list", path)
    case .makeFolder: ("create the folder", path)
    case .unlink: ("remove", path)
    case .setAttributes: ("change the mode of", path)
    case .copyExtendedAttributes: ("read the extended attributes of", path)
    case .freeSpace: ("stat the file system of", path)
    case .lock: ("lock", path)
    case .rename(let to): ("rename \(path) to", to)
    }
  }
}

extension Step {
  /// Whether the disk may look different afterwards to a program that reads it while the machine
  /// stays up.
  var changesFiles: Bool {
    switch kind {
    case .open(let mode): mode.creates
    case .write, .makeFolder, .unlink, .rename, .setAttributes, .copyExtendedAttributes: true
    case .read, .sync, .size, .status, .list, .syncFolder, .freeSpace, .lock: false
    }
  }

  /// Whether a loss of power before it and one after it may leave different states.
  var mattersToPowerLoss: Bool {
    switch kind {
    case .sync, .syncFolder: true
    default: changesFiles
    }
  }

  /// Whether it puts new data on the disk; such operations keep failing on a full disk.
  var takesSpace: Bool {
    switch kind {
    case .open(let mode): mode.creates
    case .write, .makeFolder: true
    default: false
    }
  }

  /// Whether the system may answer with this errno. Only operations that may allocate blocks run
  /// out of space (a flush if allocation is delayed, a rename if the folder grows); every other
  /// errno may occur at any operation.
  func mayFail(with code: Int32) -> Bool {
    guard code == ENOSPC || code == EDQUOT else { return true }
    switch kind {
    case .sync, .syncFolder, .rename: return true
    default: return takesSpace
    }
  }

  var isWrite: Bool {
    if case .write = kind { true } else { false }
  }
}

extension OpenMode {
  /// Whether opening may create a file.
  var creates: Bool { self == .createNew || self == .createPrivate || self == .lockFile }
}
