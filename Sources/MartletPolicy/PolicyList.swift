/// Which policies and profiles judge a point, in order: points with the same list share a set.
///
/// Policies are numbers, given by ``PolicyCatalog``: lists are compared often.
struct PolicyList: Hashable {
  /// The policies of a tier that apply.
  struct TierPart: Hashable {
    let tier: String
    let policies: [Int]
  }

  let isEgress: Bool
  let ending: PolicyEnding
  let tiers: [TierPart]
  /// Empty unless ``ending`` is `profiles`.
  let profiles: [String]
}

/// A rule in a list, with the place of its tier in the list.
struct ListedRule {
  let rule: CompiledRule
  /// The number of tiers for profiles.
  let tier: Int
}
