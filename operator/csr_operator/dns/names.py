"""Domain names as dnspython has them, and as people write them."""

import dns.exception
import dns.name

from csr_operator.plugin.errors import Rejected


def parse_name(name: str) -> dns.name.Name:
    """Raises Rejected for what cannot be in the DNS, such as a name that the label of a challenge makes too long."""
    try:
        return dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise Rejected(f"{name[:100]}: cannot be looked up in the DNS: {error}") from None


def format_name(name: dns.name.Name) -> str:
    """Without the final dot."""
    return name.to_text(omit_final_dot=True)
