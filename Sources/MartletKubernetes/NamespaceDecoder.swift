import MartletModel

extension ValueDecoder where Value == Namespace {
  /// A `v1` `Namespace`.
  static var namespace: Self {
    Self { (object) throws(FieldError) in
      let metadata = try ObjectMetadata(whole: object)
      // The API server sets this one, whatever the author wrote.
      let labels = metadata.labels.merging([WellKnownName.namespaceName: metadata.name]) { $1 }
      return Namespace(name: metadata.name, labels: labels)
    }
  }
}
