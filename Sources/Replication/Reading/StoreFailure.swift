import BackupEngine
import BackupPolicy
import Glibc
import Names
import ObjectStorage

// The failures of stores for people: one code for each kind, whoever asks, and a hint that fits the
// place that was asked.
extension StoreError {
  /// The failure of a configured target.
  ///
  /// - Parameter target: its name.
  package func error(at target: String) -> HoldfastError {
    HoldfastError(code, "target \(target): \(reason)", hint: hint(at: target), cause: self)
  }

  /// A clock that differs too much although the requests work, because they have the store's time.
  ///
  /// - Parameter offset: milliseconds that the store's clock is ahead.
  package static func clockSkew(by offset: Int64) -> StoreError {
    var error = StoreError(.clockSkew, "the store refuses requests of another time")
    error.serverTime = SystemClock.now().milliseconds.addingClamped(offset)
    return error
  }

  fileprivate var code: HoldfastError.Code {
    switch kind {
    case .missing, .noContainer: .pointNotFound
    case .denied, .expired, .noCredentials, .untrusted: .permissionDenied
    case .throttled, .unavailable, .unreachable: .ioError
    case .damaged, .changed, .outOfRange: .archiveCorrupt
    case .conflict: .busy
    case .full, .local(errno: ENOSPC), .local(errno: EDQUOT): .noSpace
    case .local: .ioError
    case .invalid: .usage
    case .cancelled: .interrupted
    case .exists, .clockSkew, .wrongRegion, .unsupported, .malformed, .tooLarge, .other: .failed
    }
  }

  /// The message, with the measured difference if the clocks disagree.
  fileprivate var reason: String {
    guard kind == .clockSkew, let serverTime else { return message }
    let difference = SystemClock.now().milliseconds - serverTime
    let words = Words.distance(milliseconds: abs(difference))
    return "this machine's clock is \(words) \(difference < 0 ? "behind" : "ahead of") the store's: \(message)"
  }

  private func hint(at target: String) -> String? {
    switch kind {
    case .missing, .outOfRange: "holdfast targets check \(target)"
    case .noContainer: "make the bucket or the folder, or mount the disk; a target's own folder is never made"
    case .denied: "holdfast targets check \(target) shows which requests the store allows; then holdfast sync \(target)"
    case .noCredentials where isOfHelper: "holdfast targets check \(target) runs it again"
    case .expired, .noCredentials:
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or credentials_file in holdfast.toml"
    case .untrusted: "if the store has a certificate of its own authority, set ca_file in holdfast.toml"
    case .wrongRegion(let region):
      "add the region of the bucket to the target's url: ?region=\(region ?? "eu-central-1")"
    case .unreachable, .throttled, .unavailable, .conflict:
      "nothing is lost: what is not there yet is sent with the next run"
    case .full: "free space in the target, or let it keep fewer backups; then holdfast sync \(target)"
    case .damaged, .changed: "holdfast verify --all checks the archives here"
    case .clockSkew: Self.clockHint
    case .malformed, .unsupported: "holdfast targets check \(target) tries what the store can do"
    case .invalid, .exists, .tooLarge, .cancelled, .local, .other: nil
    }
  }

  fileprivate static let clockHint = "set the clock of this machine: timedatectl set-ntp true"
}

extension HoldfastError {
  /// The failure of a store that `--from` names.
  ///
  /// - Parameter address: of the store, as it was given.
  package init(_ error: StoreError, of address: String) {
    self.init(
      error.code, "\(address.printable): \(error.reason)", hint: Self.hint(error, address), cause: error)
  }

  private static func hint(_ error: StoreError, _ address: String) -> String? {
    let isBucket = address.hasPrefix("s3:")
    return switch error.kind {
    case .noContainer:
      isBucket
        ? "check the name of the bucket and the endpoint: s3://bucket/prefix?endpoint=https://host"
        : "mount the disk with the folder, or check the path: ls -ld \(address.shellWord)"
    case .denied:
      isBucket
        ? "the account needs s3:ListBucket and s3:GetObject for this prefix; AWS_PROFILE chooses another account"
        : "check the permissions: ls -ld \(address.shellWord)"
    case .noCredentials where error.isOfHelper:
      "run the credential_process by hand; AWS_PROFILE chooses another profile of ~/.aws"
    case .noCredentials, .expired:
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to an account that can read the store"
    case .wrongRegion(let region):
      "add the region of the bucket to the address: ?region=\(region ?? "eu-central-1")"
    case .clockSkew: StoreError.clockHint
    case .untrusted:
      "check the endpoint; for a certificate of the store's own authority, set AWS_CA_BUNDLE to its PEM file"
    case .unreachable: "check the network and the endpoint in the address, then try again"
    case .throttled, .unavailable, .conflict: "try again in some minutes"
    case .invalid: "write s3://bucket/prefix or the path of a folder"
    default: nil
    }
  }
}
