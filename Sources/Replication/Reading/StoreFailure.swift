import BackupPolicy
import Glibc
import Names
import ObjectStorage

extension HoldfastError {
  /// The failure of a store, with the advice for a person.
  ///
  /// - Parameter address: of the store, as it was given.
  package init(_ error: StoreError, of address: String) {
    self.init(
      Self.code(error.kind), "\(address.printable): \(error.message)", hint: Self.hint(error.kind, address),
      cause: error)
  }

  private static func code(_ kind: StoreError.Kind) -> Code {
    switch kind {
    case .missing, .noContainer: .pointNotFound
    case .denied, .expired, .noCredentials, .untrusted: .permissionDenied
    case .throttled, .unavailable, .unreachable, .damaged, .local: .ioError
    case .conflict: .busy
    case .full, .local(errno: ENOSPC), .local(errno: EDQUOT): .noSpace
    case .invalid: .usage
    case .cancelled: .interrupted
    default: .failed
    }
  }

  private static func hint(_ kind: StoreError.Kind, _ address: String) -> String? {
    let isBucket = address.hasPrefix("s3:")
    return switch kind {
    case .noContainer:
      isBucket
        ? "check the name of the bucket and the endpoint: s3://bucket/prefix?endpoint=https://host"
        : "mount the disk with the folder, or check the path: ls -ld \(address.shellWord)"
    case .denied:
      isBucket
        ? "the account needs s3:ListBucket and s3:GetObject for this prefix; AWS_PROFILE chooses another account"
        : "check the permissions: ls -ld \(address.shellWord)"
    case .noCredentials, .expired:
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to an account that can read the store"
    case .wrongRegion(let region):
      "add the region of the bucket to the address: ?region=\(region ?? "eu-central-1")"
    case .clockSkew: "set the clock of this machine"
    case .untrusted: "check the endpoint, and the certificate authorities of this machine"
    case .unreachable: "check the network and the endpoint in the address, then try again"
    case .throttled, .unavailable, .conflict: "try again in some minutes"
    case .invalid: "write s3://bucket/prefix or the path of a folder"
    default: nil
    }
  }
}
