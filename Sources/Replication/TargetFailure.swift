import BackupPolicy
import ObjectStorage

extension StoreError {
  /// The same failure for people, with the next action.
  ///
  /// - Parameter target: its name.
  package func error(at target: String) -> HoldfastError {
    let (code, hint) = advice(target)
    return HoldfastError(code, "target \(target): \(message)", hint: hint, cause: self)
  }

  private func advice(_ target: String) -> (HoldfastError.Code, String?) {
    switch kind {
    case .missing, .outOfRange: (.pointNotFound, "holdfast targets check \(target) shows the state of the target")
    case .noContainer:
      (.pointNotFound, "make the bucket or the folder, or mount the disk; a target's own folder is never made")
    case .denied:
      (.permissionDenied, "holdfast targets check \(target) shows which requests the store allows")
    case .expired, .noCredentials:
      (.permissionDenied, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or credentials_file in holdfast.toml")
    case .clockSkew: (.failed, "set this machine's clock: timedatectl set-ntp true")
    case .untrusted: (.failed, "if the store has a certificate of its own authority, set ca_file in holdfast.toml")
    case .unreachable, .throttled, .unavailable, .conflict:
      (.ioError, "nothing is lost: what is not there yet is sent with the next run")
    case .full: (.noSpace, "free space in the target, or let it keep fewer backups")
    case .damaged, .changed: (.archiveCorrupt, "holdfast verify --all checks the archives here")
    case .exists, .wrongRegion, .unsupported, .invalid, .malformed, .tooLarge, .cancelled, .local, .other:
      (.failed, nil)
    }
  }
}
