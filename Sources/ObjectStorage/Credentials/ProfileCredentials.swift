import Names

/// The profile `AWS_PROFILE`, or `default`, of `~/.aws/credentials` and `~/.aws/config`: keys, or a
/// `credential_process`.
///
/// https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
package struct ProfileCredentials: CredentialProvider {
  package let surroundings: CredentialSurroundings
  package let name = "profile"

  package init(surroundings: CredentialSurroundings) { self.surroundings = surroundings }

  package func fetch(now: Int64) throws(StoreError) -> StoreCredentials? {
    let chosen = surroundings.variable("AWS_PROFILE") ?? surroundings.variable("AWS_DEFAULT_PROFILE")
    let profile = chosen ?? "default"
    let shared = try section(profile, of: "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    let heading = profile == "default" ? ["default", "profile default"] : ["profile \(profile)"]
    var config: [String: String]?
    for name in heading where config == nil { config = try section(name, of: "AWS_CONFIG_FILE", "~/.aws/config") }
    guard shared != nil || config != nil else {
      guard let chosen else { return nil }
      throw StoreError(.noCredentials, "there is no profile \(chosen.printable) in the files of AWS")
    }
    for values in [shared, config].compactMap({ $0 }) {
      let values = ProfileValues(values, source: "profile \(profile.printable)", isStopped: surroundings.isStopped)
      if let found = try values.credentials() { return found }
    }
    // A profile that only names a region is usual on instances, so it is not an error.
    guard let chosen else { return nil }
    throw StoreError(.noCredentials, "the profile \(chosen.printable) has neither keys nor a credential_process")
  }

  private func section(_ name: String, of variable: String, _ usual: String) throws(StoreError) -> [String: String]? {
    let path = surroundings.expanded(surroundings.variable(variable) ?? usual)
    return try surroundings.read(path).flatMap { ProfileFile($0).sections[name] }
  }
}

/// The file that a target names: a file of profiles with a profile `default`, with a single one, or
/// without a heading.
package struct FileCredentials: CredentialProvider {
  package let path: String
  package let surroundings: CredentialSurroundings
  package var name: String { "credentials_file" }

  package init(path: String, surroundings: CredentialSurroundings) {
    (self.path, self.surroundings) = (path, surroundings)
  }

  package func fetch(now: Int64) throws(StoreError) -> StoreCredentials? {
    guard let content = try surroundings.read(surroundings.expanded(path)) else {
      throw StoreError(.noCredentials, "there is no credentials_file \(path.printable)")
    }
    let sections = ProfileFile(content).sections
    let only = sections.count == 1 ? sections.values.first : nil
    let values = sections["default"] ?? sections[""] ?? only
    if let values {
      let values = ProfileValues(values, source: path.printable, isStopped: surroundings.isStopped)
      if let found = try values.credentials() { return found }
    }
    throw StoreError(
      .noCredentials,
      "\(path.printable) contains no lines aws_access_key_id = … and aws_secret_access_key = … (or credential_process)")
  }
}

/// The settings of one profile.
struct ProfileValues {
  private let values: [String: String]
  private let source: String
  private let isStopped: @Sendable () -> Bool

  init(_ values: [String: String], source: String, isStopped: @escaping @Sendable () -> Bool) {
    (self.values, self.source, self.isStopped) = (values, source, isStopped)
  }

  func credentials() throws(StoreError) -> StoreCredentials? {
    if let keyID = values["aws_access_key_id"], let secret = values["aws_secret_access_key"] {
      return StoreCredentials(
        keyID: keyID, secret: Secret(secret), sessionToken: values["aws_session_token"].map { Secret($0) },
        source: source)
    }
    if let command = values["credential_process"] {
      var process = CredentialProcess(command: command, source: "credential_process of \(source)")
      process.isStopped = isStopped
      return try process.credentials()
    }
    for key in ["sso_session", "sso_start_url", "role_arn"] where values[key] != nil {
      throw StoreError(
        .noCredentials,
        "\(source) uses \(key), which is not supported: set credential_process = "
          + "aws configure export-credentials --format process --profile NAME")
    }
    return nil
  }
}
