import MartletModel

extension ValueDecoder where Value == ServiceAccount {
  /// A `v1` `ServiceAccount`.
  static var serviceAccount: Self {
    Self { (object) throws(FieldError) in
      let metadata = try ObjectMetadata(whole: object)
      return ServiceAccount(name: metadata.namespacedName, labels: metadata.labels)
    }
  }
}
