import MartletModel

extension ValueDecoder where Value == ServiceRange {
  /// A `networking.k8s.io/v1` `ServiceCIDR`.
  static var serviceCIDR: Self {
    Self { (object) throws(FieldError) in
      var range = ServiceRange(name: try ObjectMetadata(whole: object).name)
      try object.inside("spec") { (spec) throws(FieldError) in
        range.prefixes = try spec.list("cidrs", of: .prefix)
      }
      return range
    }
  }
}
