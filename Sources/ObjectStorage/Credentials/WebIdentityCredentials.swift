import Names
import Transfer

/// A token of Kubernetes or another identity service, exchanged for credentials at STS:
/// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`.
///
/// The file is read each time, because the token in it is replaced before it expires.
/// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
package struct WebIdentityCredentials: CredentialProvider {
  package let surroundings: CredentialSurroundings
  package let client: any HTTPClient
  package let name = "web identity"

  package init(surroundings: CredentialSurroundings, client: any HTTPClient) {
    (self.surroundings, self.client) = (surroundings, client)
  }

  package func fetch(now: Int64) throws(StoreError) -> StoreCredentials? {
    guard let file = surroundings.variable("AWS_WEB_IDENTITY_TOKEN_FILE") else { return nil }
    guard let role = surroundings.variable("AWS_ROLE_ARN") else {
      throw StoreError(.noCredentials, "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not")
    }
    let session = surroundings.variable("AWS_ROLE_SESSION_NAME") ?? "holdfast"
    let form = SigV4.encodedQuery([
      ("Action", "AssumeRoleWithWebIdentity"), ("Version", "2011-06-15"), ("RoleArn", role),
      ("RoleSessionName", session), ("WebIdentityToken", try surroundings.readToken(file).exposed),
    ])
    let request = HTTPRequest(
      .post, try endpoint() + "/", headers: [("Content-Type", "application/x-www-form-urlencoded")],
      body: .bytes(Array(form.utf8)), timeout: 30_000)
    let response = try CredentialExchange(client: client, name: name).perform(request)
    guard let response else { throw StoreError(.unreachable, "\(name): STS is not reachable") }
    return try credentials(response.body)
  }

  private func endpoint() throws(StoreError) -> String {
    if let given = surroundings.variable("AWS_ENDPOINT_URL_STS") { return try StoreEndpoint(given).description }
    guard let region = surroundings.region, S3Location.isRegion(region) else { return "https://sts.amazonaws.com" }
    return "https://sts.\(region).amazonaws.com" + (region.hasPrefix("cn-") ? ".cn" : "")
  }

  private func credentials(_ body: [UInt8]) throws(StoreError) -> StoreCredentials {
    let root = try ListingXML.document(body, named: "AssumeRoleWithWebIdentityResponse")
    let values = root.first("AssumeRoleWithWebIdentityResult")?.first("Credentials")
    guard let values, let keyID = values.text("AccessKeyId"), let secret = values.text("SecretAccessKey"),
      let token = values.text("SessionToken"),
      let expires = values.text("Expiration").flatMap({ StoreTime.parse(iso8601: $0) })
    else { throw StoreError(.noCredentials, "\(name): the answer of STS contains no credentials") }
    return StoreCredentials(
      keyID: keyID, secret: Secret(secret), sessionToken: Secret(token), expires: expires, source: name)
  }
}

/// Requests to the services that give out credentials. Their answers never appear in messages.
struct CredentialExchange {
  var client: any HTTPClient
  var name: String
  var tries = 3

  /// Returns nil if the service is not reachable; throws if it refuses.
  func perform(_ request: HTTPRequest) throws(StoreError) -> HTTPResponse? {
    var last: StoreError?
    for _ in 0..<tries {
      do throws(TransferError) {
        let response = try client.perform(request, into: .memory(limit: 1 << 16))
        if response.status / 100 == 2 { return response }
        last = refusal(response)
        if response.status < 500, response.status != 429 { break }
      } catch {
        last = nil
      }
    }
    if let last { throw last }
    return nil
  }

  private func refusal(_ response: HTTPResponse) -> StoreError {
    let code = ListingXML.error(response.body).map { " \($0.code)" } ?? ""
    var error = StoreError(
      response.status >= 500 || response.status == 429 ? .unavailable : .noCredentials,
      "\(name): the service answered \(response.status)\(code)")
    error.status = response.status
    return error
  }
}
