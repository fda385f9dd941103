import BPF
import CBPF

/// The tables that ``ServiceTable`` writes. Their layouts are in `layout/service.h` and `layout/endpoint.h`.
///
/// Existentials, since all that happens in a loop happens before a table is called; a call is a system call.
public struct ServiceMaps {
  /// Where services answer.
  public let frontends: any MapStorage<frontend_key, frontend>
  /// Endpoints, in slices.
  public let backends: any ArrayStorage<backend>
  /// Maglev tables, in slices: indexes into ``backends``.
  public let maglev: any ArrayStorage<UInt32>
  /// Which clients a service admits; what is in it is admitted, and the value is 1. Longest-prefix match.
  public let sourceRanges: any MapStorage<source_range_key, UInt32>
  /// Which endpoint a client got last. Only entries of services that are gone are removed here.
  public let affinity: any MapStorage<affinity_key, affinity>
  /// What an address is to this node. Shared: see ``ServiceTable/restoreAddress(_:)``.
  public let addresses: any MapStorage<ip_address, address_entry>
  /// What a prefix is to this node; the service ranges are ours. Longest-prefix match.
  public let prefixes: any MapStorage<ip_prefix, prefix_entry>

  /// These tables.
  public init(
    frontends: any MapStorage<frontend_key, frontend>, backends: any ArrayStorage<backend>,
    maglev: any ArrayStorage<UInt32>, sourceRanges: any MapStorage<source_range_key, UInt32>,
    affinity: any MapStorage<affinity_key, affinity>, addresses: any MapStorage<ip_address, address_entry>,
    prefixes: any MapStorage<ip_prefix, prefix_entry>
  ) {
    self.frontends = frontends
    self.backends = backends
    self.maglev = maglev
    self.sourceRanges = sourceRanges
    self.affinity = affinity
    self.addresses = addresses
    self.prefixes = prefixes
  }
}
