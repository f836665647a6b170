/// Any JSON document.
indirect enum JSONTree: Decodable {
  case null
  case boolean
  case number
  case string
  case array([JSONTree])
  case object([String: JSONTree])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if (try? container.decode(Bool.self)) != nil {
      self = .boolean
    } else if (try? container.decode(Double.self)) != nil {
      self = .number
    } else if (try? container.decode(String.self)) != nil {
      self = .string
    } else if let values = try? container.decode([JSONTree].self) {
      self = .array(values)
    } else {
      self = .object(try container.decode([String: JSONTree].self))
    }
  }

  /// The name of its type in the tables of the documentation.
  var type: String {
    switch self {
    case .null: "null"
    case .boolean: "boolean"
    case .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}

/// A table of the documentation that lists the fields of a document, such as `plan.steps[].bytes`, with their types.
struct FieldTable {
  private let documented: [String: String]

  init(_ documented: [String: String]) { self.documented = documented }

  /// - Parameter prefix: the part of the document that the table is about, for example `[]` for the
  ///   members of an array.
  func problems(of document: JSONTree, prefix: String) -> [String] {
    var observed: [String: Set<String>] = [:]
    collect(document, "", prefix.isEmpty ? "" : prefix + ".", &observed)
    return undocumented(observed) + missing(observed)
  }

  private func collect(_ value: JSONTree, _ path: String, _ prefix: String, _ observed: inout [String: Set<String>]) {
    var name: String?
    if path.hasPrefix(prefix) { name = String(path.dropFirst(prefix.count)) }
    let words = name.flatMap { documented[$0] } ?? ""
    let isOpaque = words.hasPrefix("map") || words.hasPrefix("any")
    if let name, !name.isEmpty, !name.hasSuffix("[]") {
      observed[name, default: []].insert(isOpaque && value.type == "object" ? "map" : value.type)
    }
    guard !isOpaque else { return }
    switch value {
    case .array(let members): for member in members { collect(member, path + "[]", prefix, &observed) }
    case .object(let members):
      for (key, member) in members { collect(member, path.isEmpty ? key : "\(path).\(key)", prefix, &observed) }
    default: break
    }
  }

  private func undocumented(_ observed: [String: Set<String>]) -> [String] {
    observed.sorted { $0.key < $1.key }.compactMap { name, types in
      guard let words = documented[name] else { return "the field `\(name)` is not in the table" }
      let allowed = Set(words.replacing("?", with: "").split(separator: " or ").map { $0.trimmed })
      guard !allowed.contains("any"), !types.isSubset(of: allowed) else { return nil }
      return "the field `\(name)` is \(types.sorted()), and the table says \(words)"
    }
  }

  /// Fields that are not optional are in each object that could have them.
  private func missing(_ observed: [String: Set<String>]) -> [String] {
    documented.keys.sorted().compactMap { name in
      guard documented[name]?.hasSuffix("?") == false, observed[name] == nil else { return nil }
      let parent = name.lastIndex(of: ".").map { String(name[..<$0]) }
      let isExpected =
        if let parent, parent.hasSuffix("[]") {
          observed.keys.contains { $0.hasPrefix(parent + ".") }
        } else if let parent {
          observed[parent]?.contains("object") == true
        } else {
          true
        }
      return isExpected ? "the field `\(name)` of the table is missing" : nil
    }
  }
}
