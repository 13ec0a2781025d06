"""Where remote control listens or is found, and with which key."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass, field

from bci_m2s.errors import CommandError, UsageError
from bci_m2s.text import quoted

HOST, PORT = "127.0.0.1", 22345  # LabRecorder's port
KEY_VARIABLE = "BCI_M2S_REMOTE_KEY"
KEY = re.compile(r"[!-~]{12,200}")
KEY_EXPECTED = "12 to 200 letters, digits and signs of ASCII, no blank"


@dataclass(frozen=True, slots=True)
class Address:
    """host : name or address; port : 0 to have any free one; key : None where none is asked for"""

    host: str = HOST
    port: int = PORT
    key: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(text: str, option: str = "--remote") -> Address:
    """Return the address that a text ``[HOST:]PORT`` means, without a key. Raises UsageError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or HOST
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise UsageError(f"{option}: got {quoted(text)}, expected [HOST:]PORT, such as {PORT}")
    return Address(host, int(port))


def key_of_environment() -> str | None:
    """Return the key in ``BCI_M2S_REMOTE_KEY``, None where there is none. Raises UsageError."""
    key = os.environ.get(KEY_VARIABLE) or None
    if key is not None and not KEY.fullmatch(key):
        raise UsageError(f"{KEY_VARIABLE}: expected {KEY_EXPECTED}")
    return key


def resolved(address: Address) -> tuple[socket.AddressFamily, str]:
    """Return the family and the number of a host. Raises CommandError where there is none of this name."""
    try:
        family, _, _, _, found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise CommandError(
            f"{quoted(address.host)}: no such host; expected an address of this computer"
        ) from None
    return family, str(found[0])


def is_loopback(number: str) -> bool:
    """Whether an address is this computer's own, which nobody else can reach."""
    return ipaddress.ip_address(number.partition("%")[0]).is_loopback
