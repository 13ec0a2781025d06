"""What goes over a control connection: JSON objects, one per line, and the proofs of its two ends.

Any user of this computer can connect to a port of it, so nothing is taken from a peer that has not proved
that it knows the session's token, nor sent to one. A proof is the HMAC-SHA-256 of two random challenges,
one of each end, and of the role of the end that proves itself: it can be neither reflected nor used twice.
"""

from __future__ import annotations

import hmac
import json
from io import BufferedReader
from typing import Any

LONGEST_REQUEST = 64 * 1024  # bytes
LONGEST_REPLY = 4 * 1024 * 1024
LONGEST_PROOF = 512
HANDSHAKE_S = 2.0


class TooLongError(ValueError):
    """A line is longer than its limit."""


def read_line(reader: BufferedReader, most: int) -> bytes:
    """Read a line of at most `most` bytes. Raises TooLongError, EOFError, and what the reader raises."""
    line = reader.readline(most + 1)
    if len(line) > most:
        raise TooLongError(f"too long, expected {most} bytes at most")
    if not line.endswith(b"\n"):
        raise EOFError
    return line


def to_line(message: dict[str, Any]) -> bytes:
    """Return a message as a line. Raises TypeError, ValueError when JSON cannot hold it."""
    return json.dumps(message).encode() + b"\n"


def parse(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line. Raises ValueError, with the reason, for anything else."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(message, dict):
        raise ValueError(f"got {type(message).__name__}, expected a JSON object")
    return message


def proof(token: bytes, role: str, server_challenge: str, client_challenge: str) -> str:
    """Return the answer to these challenges that needs the token; role : "server" or "client"."""
    return hmac.digest(
        token, json.dumps([role, server_challenge, client_challenge]).encode(), "sha256"
    ).hex()


def same(given: object, expected: str) -> bool:
    """Whether a proof is the expected one, in a time that does not depend on where they differ."""
    return hmac.compare_digest(str(given).encode("utf-8", "replace"), expected.encode())
