import BackupPolicy
import Synchronization

@testable import BackupEngine

/// The image of a backup, read through its chain into memory; the read checks its digest.
struct ChainImage {
  let bytes: [UInt8]

  init(_ engine: Engine, _ id: PointID) throws {
    let repository = try engine.repository()
    let target = MemoryTarget()
    let reader = ChainReader(
      open: try OpenChain(repository.chain(of: repository.point(id.text)), in: repository),
      files: engine.environment.files, credentials: engine.credentials, progress: Progress())
    let (archive, _) = try reader.read(to: target)
    bytes = target.bytes
    guard Int64(bytes.count) == archive.imageSize else {
      throw HoldfastError(.failed, "\(id) has \(bytes.count) bytes of \(archive.imageSize)")
    }
  }
}

private final class MemoryTarget: ImageTarget {
  private let image = Mutex<[UInt8]>([])

  var bytes: [UInt8] { image.withLock { $0 } }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    image.withLock { image in
      let (start, end) = (Int(offset), Int(offset) + bytes.count)
      if image.count < end { image += [UInt8](repeating: 0, count: end - image.count) }
      image.replaceSubrange(start..<end, with: bytes)
    }
  }
}
