import Names

/// A list of names and values.
package struct FieldList {
  private var fields: [(name: String, value: String)] = []

  package init() {}

  /// Adds a field; nothing for nil or an empty value.
  package mutating func add(_ name: String, _ value: String?) {
    if let value, !value.isEmpty { fields.append((name, value.printable)) }
  }

  /// A line for each field, below each other.
  ///
  /// - Parameters:
  ///   - indent: columns before each name.
  ///   - width: columns of a name and the space after it.
  package func lines(indent: Int = 4, width: Int = 13) -> [String] {
    fields.map { name, value in
      String(repeating: " ", count: indent) + name + String(repeating: " ", count: max(2, width - name.count)) + value
    }
  }
}
