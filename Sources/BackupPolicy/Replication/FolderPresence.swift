import Names

/// Whether the folder of a target is the one that this host has used, by the marks in it.
///
/// A folder may be the place of a disk that is not mounted, or on which another disk is mounted now. It
/// looks like an empty target then, and everything would be written below the mount point.
package enum FolderPresence: Hashable, Sendable {
  /// It has this mark.
  case there(UInt64)
  /// Nothing was written to it yet.
  case new
  /// It has none of the marks that this host knows.
  case absent

  /// - Parameters:
  ///   - known: the marks of the folders that this host has used under this path.
  ///   - found: the marks in the folder.
  package static func decide(known: [UInt64], found: [UInt64]) -> FolderPresence {
    if let mark = known.first(where: found.contains) ?? (known.isEmpty ? found.min() : nil) { return .there(mark) }
    return known.isEmpty ? .new : .absent
  }

  /// The reason why nothing is written to an absent folder.
  ///
  /// - Parameters:
  ///   - path: the folder.
  ///   - target: its name.
  ///   - places: of the marks that would end the absence.
  package static func error(_ path: String, target: String, places: [String]) -> HoldfastError {
    HoldfastError(
      .refused,
      "target \(target): \(path.printable) is not the folder that this host has copied to: a disk that is not mounted, "
        + "or another one",
      hint: "mount the disk; if the copies are to begin anew in this folder: "
        + "holdfast sync \(target.shellWord) --new-folder",
      cause: AbsentFolder(places: places))
  }
}

/// The cause of the error of an absent folder.
package struct AbsentFolder: Error, Hashable {
  /// If one of these folders exists, the right disk is there.
  package let places: [String]
}
