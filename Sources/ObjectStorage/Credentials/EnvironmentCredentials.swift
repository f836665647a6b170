/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
///
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-static-credentials.html
package struct EnvironmentCredentials: CredentialProvider {
  package let surroundings: CredentialSurroundings
  package let name = "environment"

  package init(surroundings: CredentialSurroundings) { self.surroundings = surroundings }

  package func fetch(now: Int64) throws(StoreError) -> StoreCredentials? {
    let keyID = surroundings.variable("AWS_ACCESS_KEY_ID")
    let secret = surroundings.variable("AWS_SECRET_ACCESS_KEY")
    if keyID == nil, secret == nil { return nil }
    guard let keyID, let secret else {
      throw StoreError(.noCredentials, "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is missing")
    }
    return StoreCredentials(
      keyID: keyID, secret: Secret(secret),
      sessionToken: surroundings.variable("AWS_SESSION_TOKEN").map { Secret($0) }, source: name)
  }
}
