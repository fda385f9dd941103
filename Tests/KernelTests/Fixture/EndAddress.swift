import BPFTesting

/// An address and a port, by a name that the socket tests of this target do not use for theirs.
typealias EndAddress = BPFTesting.SocketAddress
