"""From what was asked for to a server that listens."""

from __future__ import annotations

from dataclasses import replace

from bci_m2s.session.remote.address import Address, key_of_environment
from bci_m2s.session.remote.server import RemoteServer
from bci_m2s.session.setup.config import RemoteSettings


def listening(asked: Address | None, settings: RemoteSettings | None = None) -> RemoteServer | None:
    """Return a server that listens and does not accept yet; None where nobody asked for one.

    Parameters
    ----------
    asked : on the command line; it goes before the pipeline's address, but not before its key
    settings : of the pipeline

    Raises
    ------
    CommandError
        Nobody can listen there, or there should be a key.
    UsageError
        The key in the environment is none.
    """
    if asked is None and settings is None:
        return None
    if settings is not None and asked is None:
        asked = Address(settings.host, settings.port)
    key = settings.key if settings is not None else None
    return RemoteServer(replace(asked or Address(), key=key or key_of_environment()))
