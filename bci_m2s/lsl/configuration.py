"""LSL's configuration: what is in force, this machine only, and a session of its own.

liblsl reads its configuration once, when the first stream is described, found or sent: a file,
``lsl_api.cfg``, or the text that it was given before. A configuration of ours is such a text: child
processes get it in an environment variable, and each of our entry points calls ``inherit`` first. Format
and search order of the files are those of liblsl 1.18 (``src/api_config.cpp``,
``src/util/inireader.cpp``).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bci_m2s.errors import ConfigurationError, OutputError, UsageError
from bci_m2s.text import printable

FILE = "lsl_api.cfg"
VARIABLE = "LSLAPICFG"
OWN = "BCI_M2S_LSL_CONFIGURATION"  # the text itself; comes before any file
NEW = "new"  # asks for a random session id
LONGEST_ID = 64
LARGEST_BYTES = 1 << 20
FATAL = -3  # what liblsl logs: nothing less; what matters to a user, a session says itself
# An id is part of a line of the file and, between quotes, in the queries that go over the network.
FORBIDDEN = "[]{}<>'\"&\\`;"


def search_paths(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where liblsl looks for its configuration, in its order; nowhere when it is given a text."""
    if environment.get(OWN):
        return []
    named = environment.get(VARIABLE, "")
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or Path.home())
    usual = [Path(FILE), home / "lsl_api" / FILE, Path("/etc/lsl_api") / FILE]
    return ([Path(named)] if named else []) + usual


def in_force(environment: Mapping[str, str] = os.environ) -> tuple[Path | None, dict[str, str]]:
    """The file that liblsl uses and its settings; (None, {}) where it goes by its defaults.

    A file that cannot be read, or that is not well formed, is passed over, as liblsl does. (None, settings)
    where a configuration of ours is in force.
    """
    path, text = _in_force(environment)
    return path, _settings(path, text)


def read_settings(path: Path) -> dict[str, str]:
    """Settings of a file by "section.Key". Raises ConfigurationError, with the line, as liblsl would."""
    return _settings(path, _read(path))


def with_session_id(text: str, session_id: str) -> str:
    """A configuration like this one, with this session id."""
    kept = [line for line, key, _ in _lines(None, text) if key != "lab.SessionID"] if text else []
    return "\n".join([*kept, "[lab]", f"SessionID = {session_id}", ""])


def _in_force(environment: Mapping[str, str]) -> tuple[Path | None, str]:
    for path in search_paths(environment):
        with suppress(ConfigurationError):
            text = _read(path)
            _settings(path, text)
            return path, text
    return None, environment.get(OWN, "")


def _settings(path: Path | None, text: str) -> dict[str, str]:
    return {key: value for _, key, value in _lines(path, text) if key}


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES).decode("utf-8", "replace")
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem.strerror}") from None


def _lines(path: Path | None, text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (line, "section.Key" or "", value) of each line."""
    section, keys = "", set[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        key, value = "", ""
        if "\0" in line:  # else any file is a setting by chance, where it has an equals sign
            raise ConfigurationError(f"{path}:{number}: got a zero byte, expected text")
        if line.startswith("["):
            section, bracket, _ = line[1:].partition("]")
            if not bracket:
                raise ConfigurationError(f"{path}:{number}: got {line[:60]!r}, expected a closing bracket")
        elif line.strip() and not line.startswith(";"):
            name, _, value = (part.strip() for part in line.partition("="))
            if not name or not value:
                raise ConfigurationError(f"{path}:{number}: got {line[:60]!r}, expected KEY = VALUE")
            key = f"{section}.{name}"
            if key in keys:
                raise ConfigurationError(f"{path}:{number}: {printable(key)}: occurs twice")
            keys.add(key)
        yield line.rstrip("\r"), key, value


def check_session_id(session_id: str) -> str:
    """Return a session id that liblsl takes as it is. Raises UsageError."""
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

    Everything else stays as the configuration in force has it. No stream may have been described, found or
    sent before. Raises UsageError: the id cannot be used.
    """
    if session_id == NEW:
        session_id = f"bci-m2s-{secrets.token_hex(8)}"
    text = with_session_id(_in_force(os.environ)[1], check_session_id(session_id))
    with _configuration(text):
        yield LslSession(session_id, text)


@contextmanager
def lsl_on_this_machine() -> Iterator[None]:
    """Keep LSL to this machine, for this process and its children, unless LSLAPICFG says otherwise."""
    if os.environ.get(VARIABLE) or os.environ.get(OWN):
        inherit()
        yield
        return
    # a sender takes two ports, and of liblsl's usual 32 every look around holds some
    # Without the peer, programs with liblsl 1.17 or older (LabRecorder) find one of several senders.
    text = (
        "[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n[ports]\nPortRange = 200\n"
    )
    with _configuration(text):
        yield


def inherit() -> None:
    """Give liblsl the configuration of the process that started this one, where that is one of ours.

    liblsl's own log stays out of the user's terminal, unless a configuration states a level.
    """
    text = os.environ.get(OWN) or _in_force(os.environ)[1]
    if quiet := _quiet(text):
        import pylsl

        pylsl.set_config_content(quiet)
    elif os.environ.get(OWN):
        _set(text)


def _quiet(text: str) -> str:
    """The configuration with a level of its log; "" where it states one itself."""
    return "" if "log.level" in _settings(None, text) else f"{text}\n[log]\nlevel = {FATAL}\n"


@contextmanager
def _configuration(text: str) -> Iterator[None]:
    before = os.environ.get(OWN, "")
    _set(text)
    try:
        yield
    finally:
        _set(before)


def _set(text: str) -> None:
    import pylsl

    pylsl.set_config_content(text and (_quiet(text) or text))  # "": a file is read again
    if text:
        os.environ[OWN] = text
    else:
        os.environ.pop(OWN, None)
