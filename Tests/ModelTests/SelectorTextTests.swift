import MartletModel
import Testing

struct SelectorTextTests {
  @Test(arguments: [
    ("", Selector.all), (" \t ", .all), ("all()", .all), ("all( )", .all), ("(all())", .all),
    ("role == 'db'", .equals("role", "db")), (#"role=="it's""#, .equals("role", "it's")),
    (#"role == 'say "hi"'"#, .equals("role", #"say "hi""#)), ("role == ''", .equals("role", "")),
    ("role != 'db'", .not(.equals("role", "db"))),
    ("a in {'y', 'x','y'}", .isIn("a", ["x", "y"])), ("a in{'x',}", .isIn("a", ["x"])), ("a in {}", .isIn("a", [])),
    ("a not in {'x'}", .not(.isIn("a", ["x"]))), ("a notin {'x'}", .not(.isIn("a", ["x"]))),
    ("a not  in {}", .not(.isIn("a", []))),
    ("has(a)", .has("a")), ("has( a )", .has("a")), ("!has(a)", .not(.has("a"))), ("! has(a)", .not(.has("a"))),
    ("a contains 'x'", .contains("a", "x")), ("a contains'x'", .contains("a", "x")),
    ("a starts with 'x'", .startsWith("a", "x")), ("a startswith 'x'", .startsWith("a", "x")),
    ("a ends with 'x'", .endsWith("a", "x")), ("a endswith 'x'", .endsWith("a", "x")),
    ("!!has(a)", .has("a")), ("!!!has(a)", .not(.has("a"))), ("!(!has(a))", .has("a")),
    ("!a == 'x' && has(b)", .and([.not(.equals("a", "x")), .has("b")])),
    ("!(has(a) && has(b))", .not(.and([.has("a"), .has("b")]))),
    ("has(a) || has(b) && has(c)", .or([.has("a"), .and([.has("b"), .has("c")])])),
    ("(has(a) || has(b)) && has(c)", .and([.or([.has("a"), .has("b")]), .has("c")])),
    ("(has(a) && has(b)) && has(c)", .and([.has("a"), .has("b"), .has("c")])),
    ("projectcalico.org/name-space_1 == 'x'", .equals("projectcalico.org/name-space_1", "x")),
    ("in in {'in'}", .isIn("in", ["in"])), ("has == 'x'", .equals("has", "x")),
    ("not != 'x'", .not(.equals("not", "x"))),
    ("all == 'x' && has(all)", .and([.equals("all", "x"), .has("all")])), ("0 == '0'", .equals("0", "0")),
  ])
  func `reads every form`(text: String, selector: Selector) throws {
    #expect(try Selector(parsing: text) == selector)
  }

  @Test(arguments: [
    ("a == b", "column 6: expected a quoted value, found b"),
    ("'x' == a", "column 1: expected a label's key, has(KEY), all(), ! or (, found a quoted value"),
    ("a", "column 2: expected ==, !=, in, not in, contains, starts with or ends with after the label a, found the end"),
    (
      "a && has(b)",
      "column 3: expected ==, !=, in, not in, contains, starts with or ends with after the label a, found &&"
    ),
    ("has(a) & has(b)", "column 8: expected &&, found a single &"),
    ("has(a) | has(b)", "column 8: expected ||, found a single |"),
    ("a = 'x'", "column 3: expected ==, found a single ="),
    ("a == 'x", "column 6: the value that begins here is not closed by '"),
    (#"a == "x'"#, #"column 6: the value that begins here is not closed by ""#),
    ("(has(a)", "column 8: expected &&, || or ), found the end"),
    ("has(a))", "column 7: expected &&, || or the end, found )"),
    ("has(a", "column 6: expected ), found the end"),
    ("()", "column 2: expected a condition between the parentheses, found )"),
    ("has()", "column 5: expected a label's key, found )"),
    ("has('a')", "column 5: expected a label's key, found a quoted value"),
    ("has(a)\n&& has(b)", "column 7: a selector has to be on one line"),
    ("has(a) has(b)", "column 8: expected &&, || or the end, found has"),
    ("has(a) &&", "column 10: expected a label's key, has(KEY), all(), ! or (, found the end"),
    ("|| has(a)", "column 1: expected a label's key, has(KEY), all(), ! or (, found ||"),
    ("a in 'x'", "column 6: expected {, found a quoted value"),
    ("a in {x}", "column 7: expected a quoted value or }, found x"),
    ("a in {,}", "column 7: expected a quoted value or }, found ,"),
    ("a in {'x' 'y'}", "column 11: expected a comma or }, found a quoted value"),
    ("a in {'x'", "column 10: expected a comma or }, found the end"),
    (
      "a not {'x'}",
      "column 3: expected ==, !=, in, not in, contains, starts with or ends with after the label a, found not"
    ),
    ("a ; b", "column 3: ; has no meaning in a selector; a value goes between quotes"),
    ("ä == 'x'", "column 1: ä has no meaning in a selector; a value goes between quotes"),
    ("any()", "column 1: any() is no test; expected has(KEY) or all()"),
    (
      "a == 'x' && global()",
      "column 13: global() may only be the whole of the namespaceSelector of a rule's source or destination"
    ),
  ])
  func `says where a mistake is and what was expected`(text: String, message: String) {
    let error = #expect(throws: SelectorSyntaxError.self) { try Selector(parsing: text) }
    #expect(error?.description == message)
  }

  @Test func `a key has 512 characters at most`() throws {
    let key = String(repeating: "k", count: 512)
    #expect(try Selector(parsing: "has(\(key))") == .has(key))
    let error = #expect(throws: SelectorSyntaxError.self) { try Selector(parsing: "has(\(key)k)") }
    #expect(error?.description == "column 5: the key of a label has more than 512 characters")
  }

  @Test func `parentheses without end are refused before they fill the stack`() {
    let error = #expect(throws: SelectorSyntaxError.self) {
      try Selector(parsing: String(repeating: "(", count: 100_000))
    }
    #expect(error?.description == "column 101: more than 100 parentheses within each other")
    let negated = String(repeating: "!", count: 100_001) + "has(a)"
    #expect((try? Selector(parsing: negated)) == .not(.has("a")))
  }

  @Test(arguments: [
    (Selector.all, "all()"), (.none, "!all()"), (.not(.equals("a", "x")), "a != 'x'"),
    (.isIn("a", ["y", "x", "y"]), "a in {'x', 'y'}"), (.not(.member("a", ["x"])), "a not in {'x'}"),
    (.not(.contains("a", "it's")), #"!a contains "it's""#), (.not(.or([.has("a"), .has("b")])), "!(has(a) || has(b))"),
    (.and([.or([.has("a"), .has("b")]), .startsWith("c", "x")]), "(has(a) || has(b)) && c starts with 'x'"),
    (.or([.and([.has("a"), .has("b")]), .endsWith("c", "x")]), "has(a) && has(b) || c ends with 'x'"),
    (.and([]), "all()"), (.or([]), "!all()"), (.and([.not(.not(.has("a")))]), "has(a)"),
  ])
  func `prints the canonical text`(selector: Selector, text: String) throws {
    #expect(selector.description == text)
    #expect(try Selector(parsing: text) == selector.canonical)
  }

  @Test func `what is printed is read as the same, and means the same`() throws {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<2_000 {
      let selector = Self.random(depth: 4, using: &generator)
      let again = try Selector(parsing: selector.description)
      #expect(again == selector.canonical)
      #expect(again.description == selector.description)
      for labels in [
        [:], ["a": "x"], ["a": "xy", "b": "y"], ["b": "x", "c": "yx"], ["a": "y", "b": "x", "c": "xyx"],
      ] {
        #expect(again.matches(labels) == selector.matches(labels), "\(selector) on \(labels)")
      }
    }
  }

  private static func random(depth: Int, using generator: inout some RandomNumberGenerator) -> Selector {
    let key = ["a", "b", "c"].randomElement(using: &generator) ?? "a"
    let value = ["x", "y", "xy", ""].randomElement(using: &generator) ?? "x"
    switch Int.random(in: 0..<(depth == 0 ? 7 : 10), using: &generator) {
    case 0: return .all
    case 1: return .has(key)
    case 2: return .equals(key, value)
    case 3: return .isIn(key, [value, "y"].dropLast(Int.random(in: 0...2, using: &generator)))
    case 4: return .contains(key, value)
    case 5: return .startsWith(key, value)
    case 6: return .endsWith(key, value)
    case 7: return .not(random(depth: depth - 1, using: &generator))
    default:
      let parts = (0..<Int.random(in: 0...3, using: &generator)).map { _ in random(depth: depth - 1, using: &generator)
      }
      return Bool.random(using: &generator) ? .and(parts) : .or(parts)
    }
  }

  @Test func `keys can be given another name throughout`() throws {
    let selector = try Selector(parsing: "!(a == 'x' || b in {'y'}) && has(c) && d contains 'z'")
    #expect(
      selector.renamingKeys { "n.\($0)" }.description == "!(n.a == 'x' || n.b in {'y'}) && has(n.c) && n.d contains 'z'"
    )
  }
}
