import Names

/// Names and values one below the other.
struct FieldList {
  private var fields: [(name: String, value: String)] = []

  /// Adds a field; nothing for nil or an empty value.
  mutating func add(_ name: String, _ value: String?) {
    if let value, !value.isEmpty { fields.append((name, value.printable)) }
  }

  /// - Parameters:
  ///   - indent: columns before each name.
  ///   - width: columns of a name with what separates it from its value.
  func lines(indent: Int = 4, width: Int = 13) -> [String] {
    fields.map { name, value in
      String(repeating: " ", count: indent) + name + String(repeating: " ", count: max(2, width - name.count)) + value
    }
  }
}
