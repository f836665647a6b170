import BackupEngine
import BackupPolicy
import Logging

extension DescriptorBudget {
  /// Raises this process's limit of open files as far as it needs and may, and divides what it then has.
  static func take(databases: Int, workers: Int) -> DescriptorBudget {
    let limit = OpenFileLimit.raise(to: wanted(databases: databases, workers: workers))
    return DescriptorBudget(limit: limit, databases: databases, workers: workers)
  }

  func logConcession(_ logger: Logger) {
    guard let concession else { return }
    logger.warning(
      "\(concession) (hint: raise the hard limit: ulimit -Hn, or LimitNOFILE= in the systemd unit)")
  }
}
