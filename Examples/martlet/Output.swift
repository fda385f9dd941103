import ArgumentParser
import Foundation

/// How a command prints what it has read: for people, or for tools.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case table
  case json
}

/// A table for people: columns as wide as their widest cell.
struct TextTable {
  let header: [String]
  var rows: [[String]] = []

  init(_ header: String...) { self.header = header }

  mutating func append(_ cells: String...) { rows.append(cells) }

  var text: String {
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    return ([header] + rows).map { cells in
      zip(cells, widths).map { cell, width in cell + String(repeating: " ", count: width - cell.count) }
        .joined(separator: "  ")
        .trimmingSuffix()
    }.joined(separator: "\n")
  }
}

extension String {
  fileprivate func trimmingSuffix() -> String {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}

/// Prints `values` as one JSON array, keys sorted.
func printJSON(_ values: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  print(String(decoding: try encoder.encode(values), as: UTF8.self))
}
