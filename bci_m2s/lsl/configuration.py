"""LSL's configuration: which file is in force, this machine only, and a session of its own.

liblsl reads one file, ``lsl_api.cfg``, once, at its first call; pylsl has no other way to set what stands
in it. So everything here comes before any import of pylsl. Format and search order are those of liblsl
1.18, ``src/api_config.cpp`` and ``src/util/inireader.cpp``.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bci_m2s.errors import ConfigurationError, OutputError, UsageError
from bci_m2s.text import printable

FILE = "lsl_api.cfg"
VARIABLE = "LSLAPICFG"
NEW = "new"  # asks for a random session id
LONGEST_ID = 64
LARGEST_BYTES = 1 << 20
# An id stands in a line of the file and, between quotes, in the queries that go over the network.
FORBIDDEN = "[]{}<>'\"&\\`;"


def places(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where liblsl looks for its configuration, in its order."""
    named = environment.get(VARIABLE, "")
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or Path.home())
    usual = [Path(FILE), home / "lsl_api" / FILE, Path("/etc/lsl_api") / FILE]
    return ([Path(named)] if named else []) + usual


def in_force(environment: Mapping[str, str] = os.environ) -> tuple[Path | None, dict[str, str]]:
    """The file that liblsl uses and its settings; (None, {}) where it goes by its defaults.

    A file that cannot be read, or that is not well formed, is passed over, as liblsl does.
    """
    for path in places(environment):
        try:
            return path, read_settings(path)
        except ConfigurationError:
            continue
    return None, {}


def read_settings(path: Path) -> dict[str, str]:
    """Settings of a file by "section.Key". Raises ConfigurationError, with the line, as liblsl would."""
    settings: dict[str, str] = {}
    for number, _, key, value in _lines(path, _read(path)):
        if key:
            if key in settings:
                raise ConfigurationError(f"{path}:{number}: {printable(key)}: stands twice")
            settings[key] = value
    return settings


def with_session_id(path: Path | None, session_id: str) -> str:
    """The text of a configuration like the file's (None: an empty one), with this session id."""
    kept = [line for _, line, key, _ in _lines(path, _read(path)) if key != "lab.SessionID"] if path else []
    return "\n".join([*kept, "[lab]", f"SessionID = {session_id}", ""])


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES).decode("utf-8", "replace")
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem.strerror}") from None


def _lines(path: Path | None, text: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield (number, line, "section.Key" or "", value) of each line."""
    section = ""
    for number, line in enumerate(text.split("\n"), start=1):
        key, value = "", ""
        if line.startswith("["):
            section, bracket, _ = line[1:].partition("]")
            if not bracket:
                raise ConfigurationError(f"{path}:{number}: got {line[:60]!r}, expected a closing bracket")
        elif line.strip() and not line.startswith(";"):
            name, _, value = (part.strip() for part in line.partition("="))
            if not name or not value:
                raise ConfigurationError(f"{path}:{number}: got {line[:60]!r}, expected KEY = VALUE")
            key = f"{section}.{name}"
        yield number, line.rstrip("\r"), key, value


def check_session_id(session_id: str) -> str:
    """Return a session id that liblsl takes as it stands. Raises UsageError."""
    fits = 0 < len(session_id) <= LONGEST_ID and session_id.isascii() and session_id.isprintable()
    if not fits or session_id != session_id.strip() or any(sign in session_id for sign in FORBIDDEN):
        raise UsageError(
            f"session id: got {session_id[: LONGEST_ID + 1]!r}, expected {NEW!r} or 1 to {LONGEST_ID} "
            f"letters, digits and signs of ASCII, without {' '.join(FORBIDDEN)} and without space around it"
        )
    return session_id


@dataclass(frozen=True, slots=True)
class LslSession:
    """A session of LSL: who has the same session id sees each other's streams, nobody else does.

    text : of the configuration file that the senders need
    """

    session_id: str
    text: str

    def save(self, folder: Path) -> Path:
        """Write ``lsl_api.cfg`` for the computers that send. Raises OutputError; never overwrites."""
        path = folder / FILE
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(self.text)
        except OSError as problem:
            raise OutputError(f"{path}: cannot be created: {problem.strerror}") from None
        return path

    def describe(self) -> str:
        """What a user must know, in words."""
        return (
            f"LSL session {self.session_id!r}: only streams with the same SessionID are seen. Give it to "
            f"every program that sends: its {FILE} needs [lab] and SessionID = {self.session_id}. "
            "This prevents accidents, not attacks."
        )


@contextmanager
def fresh_session(session_id: str = NEW) -> Iterator[LslSession]:
    """Give LSL in this process and its children a session id, "new" for a random one.

    Everything else stays as the configuration in force has it.

    Raises
    ------
    UsageError
        The id cannot be used.
    RuntimeError
        liblsl may have read its configuration already.
    """
    if session_id == NEW:
        session_id = f"bci-m2s-{secrets.token_hex(8)}"
    text = with_session_id(in_force()[0], check_session_id(session_id))
    with _configuration(text):
        yield LslSession(session_id, text)


@contextmanager
def lsl_on_this_machine(quiet: bool = False) -> Iterator[None]:
    """Keep LSL to this machine, for this process and its children, unless LSLAPICFG says otherwise.

    quiet : liblsl does not report every sender that goes
    """
    if os.environ.get(VARIABLE):
        yield
        return
    # a sender takes two ports, and of liblsl's usual 32 every look around holds some
    text = "[multicast]\nResolveScope = machine\n[ports]\nPortRange = 200\n"
    with _configuration(f"{text}[log]\nlevel = {-3 if quiet else -2}\n"):
        yield


@contextmanager
def _configuration(text: str) -> Iterator[None]:
    if "pylsl" in sys.modules:
        raise RuntimeError("pylsl was imported before LSL's configuration was made")
    before = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory(prefix="bci_m2s-") as folder:
        path = Path(folder) / FILE
        path.write_text(text, encoding="utf-8")
        os.environ[VARIABLE] = str(path)
        try:
            yield
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before
