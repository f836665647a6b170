import Names
import Transfer

/// The role of an EC2 instance, by version 2 of its metadata service: a token by PUT, then the name
/// of the role, then its credentials.
///
/// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
package struct InstanceCredentials: CredentialProvider {
  package let surroundings: CredentialSurroundings
  /// Without a proxy: the address is link-local.
  package let client: any HTTPClient
  package let name = "instance"

  package init(surroundings: CredentialSurroundings, client: any HTTPClient) {
    (self.surroundings, self.client) = (surroundings, client)
  }

  package func fetch(now: Int64) throws(StoreError) -> StoreCredentials? {
    guard surroundings.variable("AWS_EC2_METADATA_DISABLED")?.lowercased() != "true" else { return nil }
    let given = surroundings.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    let base = try StoreEndpoint(given ?? "http://169.254.169.254")
    // Not reachable, or not a metadata service: this machine is no instance of EC2.
    guard let token = try token(base) else { return nil }
    let folder = "\(base)/latest/meta-data/iam/security-credentials/"
    guard let role = try get(folder, token).flatMap(roleName) else { return nil }
    guard let answer = try get(folder + role, token) else { return nil }
    return try CredentialsAnswer.credentials(answer, source: "\(name) role \(role)")
  }

  private func token(_ base: StoreEndpoint) throws(StoreError) -> String? {
    let request = HTTPRequest(
      .put, "\(base)/latest/api/token", headers: [("X-aws-ec2-metadata-token-ttl-seconds", "21600")], timeout: 1000)
    do throws(StoreError) {
      guard let response = try CredentialExchange(client: client, name: name).perform(request) else { return nil }
      let token = String(decoding: response.body, as: UTF8.self).trimmingSpaces
      return token.utf8.allSatisfy { (0x21...0x7E).contains($0) } && !token.isEmpty ? token : nil
    } catch {
      guard error.kind == .noCredentials else { throw error }
      return nil
    }
  }

  /// Nil if the instance has no role (404).
  private func get(_ url: String, _ token: String) throws(StoreError) -> [UInt8]? {
    let request = HTTPRequest(.get, url, headers: [("X-aws-ec2-metadata-token", token)], timeout: 1000)
    do throws(StoreError) {
      guard let response = try CredentialExchange(client: client, name: name).perform(request) else {
        throw StoreError(.unreachable, "\(name): the metadata service does not answer")
      }
      return response.body
    } catch {
      guard error.status == 404 else { throw error }
      return nil
    }
  }

  private func roleName(_ body: [UInt8]) -> String? {
    let line = String(decoding: body, as: UTF8.self).lines.first?.trimmingSpaces ?? ""
    return !line.isEmpty && PercentEncoding.encode(line.utf8) == line ? line : nil
  }
}
