import TestSupport

@testable import holdfast

/// Configurations as values: files in a folder of their own, and an environment that belongs to no
/// user.
struct ConfigurationBed {
  let folder: TemporaryFolder
  var toml: String { folder.path("holdfast.toml") }
  var env: String { folder.path(".env") }

  init() throws {
    folder = try TemporaryFolder()
  }

  /// Reads a configuration; nil means that there is no such file.
  func configuration(
    flags: [SettingKey: String] = [:], environment: [String: String] = [:], env: String? = nil, toml: String? = nil
  ) throws -> Configuration {
    if let env { try folder.write(".env", Array(env.utf8)) }
    if let toml { try folder.write("holdfast.toml", Array(toml.utf8)) }
    return try Configuration(
      flags: .flags(flags.mapValues { $0 }), file: toml == nil ? "/dev/null" : self.toml,
      envFile: env == nil ? "/dev/null" : self.env,
      environment: ProcessEnvironment(["HOME": folder.path("home")].merging(environment) { $1 }))
  }

  /// Problems without the folder's path.
  func problems(_ configuration: Configuration) -> [String] {
    configuration.problems.map { $0.message.replacing(folder.path + "/", with: "") }
  }
}

extension ValueKind {
  /// Two different valid values, as text; for a choice, the first ones of it.
  var samples: (String, String) {
    switch self {
    case .boolean: ("true", "false")
    case .count, .quota: ("7", "9")
    case .span: ("7d", "1y6m")
    case .tagLists: ("release", "release,keep")
    case .level: ("3", "4")
    case .time: ("3s", "4min")
    case .freeSpace: ("5%", "2GiB")
    case .choice(let words): (words[0], words[1])
    case .text: ("one", "two")
    case .path, .folder, .database: ("/tmp/one", "/tmp/two")
    case .schedules: ("0 2 * * *", "30 4 * * *")
    case .zone: ("Europe/Berlin", "UTC")
    case .quietHours: ("22:00-06:00", "23:00-05:00")
    case .label: ("nas", "s3")
    case .storeAddress: ("/mnt/nas/{name}", "s3://bucket/{name}")
    case .rate: ("500KiB", "2MiB")
    case .storageClass: ("STANDARD_IA", "GLACIER_IR")
    case .proxy: ("http://proxy:3128", "socks5h://localhost:1080")
    case .channelAddress, .webAddress: ("https://example.com/a", "https://example.com/b")
    case .mailAddresses: ("ops@example.com", "a@example.com, b@example.com")
    case .arguments: ("/usr/bin/true", "/usr/bin/false")
    case .timeOfDay: ("08:00", "23:59")
    }
  }
}
