import Names
import Transfer

/// The credentials of an ECS task or an EKS pod: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
/// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, with a token from a file that is read each time.
///
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
package struct ContainerCredentials: CredentialProvider {
  package let surroundings: CredentialSurroundings
  /// Without a proxy: the address is link-local.
  package let client: any HTTPClient
  package let name = "container"

  /// The hosts to which http may carry the token: the addresses of ECS and EKS, and loopback.
  private static let hosts: Set<String> = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost", "[::1]"]

  package init(surroundings: CredentialSurroundings, client: any HTTPClient) {
    (self.surroundings, self.client) = (surroundings, client)
  }

  package func fetch(now: Int64) throws(StoreError) -> StoreCredentials? {
    guard let url = try url() else { return nil }
    var headers = [(name: "Accept", value: "application/json")]
    if let token = try token() { headers.append(("Authorization", token.exposed)) }
    let request = HTTPRequest(.get, url, headers: headers, timeout: 1000)
    guard let response = try CredentialExchange(client: client, name: name).perform(request) else {
      throw StoreError(.unreachable, "\(name): the service of the container is not reachable")
    }
    return try CredentialsAnswer.credentials(response.body, source: name)
  }

  private func url() throws(StoreError) -> String? {
    if let path = surroundings.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
      guard path.hasPrefix("/"), isPlain(path) else {
        throw StoreError(.noCredentials, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path")
      }
      return "http://169.254.170.2\(path)"
    }
    guard let url = surroundings.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return nil }
    let (authority, _) = (url.after("http://") ?? url.after("https://") ?? "").cut("/")
    let endpoint = try StoreEndpoint((url.hasPrefix("https://") ? "https://" : "http://") + authority)
    let isLocal = Self.hosts.contains(endpoint.host) || endpoint.host.hasPrefix("127.")
    guard isPlain(url), endpoint.isSecure || isLocal else {
      throw StoreError(.noCredentials, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of AWS")
    }
    return url
  }

  private func token() throws(StoreError) -> Secret? {
    if let file = surroundings.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
      return try surroundings.readToken(file)
    }
    guard let token = surroundings.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN") else { return nil }
    guard isPlain(token.replacing(" ", with: "")) else {
      throw StoreError(.noCredentials, "AWS_CONTAINER_AUTHORIZATION_TOKEN contains a line end")
    }
    return Secret(token)
  }

  private func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }
}
