"""Ranges of IP addresses, of which there may be many."""

from collections import defaultdict
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


class Networks:
    """Contains an address if one of them does; to look costs no more for many networks than for one of each size."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._first: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            self._first[network.version, shift].add(int(network.network_address) >> shift)

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, IPv4Address | IPv6Address):
            return False
        number = int(address)
        return any(
            version == address.version and number >> shift in first for (version, shift), first in self._first.items()
        )
