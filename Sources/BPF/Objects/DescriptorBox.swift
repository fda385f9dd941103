/// A descriptor in a reference, for collections: they cannot hold values that cannot be copied.
final class DescriptorBox: Sendable {
  let descriptor: FileDescriptor

  init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}
