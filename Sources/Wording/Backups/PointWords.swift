import BackupEngine
import BackupPolicy

extension PointMetadata {
  /// `524 KiB (16 MiB before compression)`; without the second figure if it is not compressed.
  var sizeInWords: String {
    let stored = "\(ByteCount(compressedSize))"
    guard compressed, let originalSize else { return stored }
    return "\(stored) (\(ByteCount(originalSize)) before compression)"
  }

  var statusInWords: String {
    guard isFlawed else { return plainStatus }
    return status == .verified || status == .completed
      ? "! flawed" + (verified ? ", verified" : "") : "\(plainStatus), flawed"
  }

  private var plainStatus: String {
    switch status {
    case .verified: "✓ verified"
    case .completed: "- not verified yet"
    case .failed: "✗ failed"
    case .anomalous: "! anomalous" + (verified ? ", verified" : "")
    case .suspect: "! suspect" + (verified ? ", verified" : "")
    case .unauthenticated: "! unauthenticated"
    }
  }
}
