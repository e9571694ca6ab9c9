"""Whether datagrams to a multicast group come back, for `toroni doctor`: by plain sockets, whose errors say why."""

from __future__ import annotations

import errno
import socket
import time
from contextlib import closing

from toroni import Multicast

_WAIT_SECONDS = 1.0
_IP_MULTICAST_ALL = 49  # of <netinet/in.h>; no name in the module


def why_no_multicast(address: Multicast) -> tuple[str, str] | None:
    """What is wrong and what to do; None if a datagram came back."""
    try:
        if _comes_back(address):
            return None
    except OSError as error:
        return _explained(error, address)
    text = f"a datagram to {address.group}, port {address.port}, through {address.interface} does not come back"
    return text, f"let it pass the firewall (nft list ruleset): UDP to {address.group} on the interface lo"


def _comes_back(address: Multicast) -> bool:
    """An empty one, as the writers of a bus send, which does no harm to its readers."""
    group, interface = socket.inet_aton(address.group), socket.inet_aton(address.interface)
    kind = (socket.AF_INET, socket.SOCK_DGRAM)
    with closing(socket.socket(*kind)) as receiver, closing(socket.socket(*kind)) as sender:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        receiver.bind((address.group, address.port))
        receiver.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + interface)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        sender.connect((address.group, address.port))
        sender.send(b"")
        end = time.monotonic() + _WAIT_SECONDS
        while (left := end - time.monotonic()) > 0:
            receiver.settimeout(left)
            try:
                _, source = receiver.recvfrom(1)
            except TimeoutError:
                return False
            if source == sender.getsockname():  # not another bus's
                return True
        return False


def _explained(error: OSError, address: Multicast) -> tuple[str, str]:
    if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
        text = f"no interface that is up in this network namespace has the address {address.interface}"
        return text, "ip link set lo up" if address.interface.startswith("127.") else "ip address; ip link set ... up"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        text = f"there is no route to {address.group} in this network namespace"
        return text, "ip link set lo up; ip route add 224.0.0.0/4 dev lo"
    if error.errno == errno.EADDRINUSE:
        text = f"another program has UDP port {address.port} for itself"
        return text, f"end it: ss -ulpn sport = :{address.port}"
    if error.errno in (errno.EPERM, errno.EACCES):
        return f"it is forbidden to send to {address.group}", "look at the firewall: nft list ruleset"
    return f"multicast to {address.group} fails: {error.strerror}", "make buses with the default notifier, 'futex'"
