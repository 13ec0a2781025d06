"""Every error that bci_m2s raises on purpose.

    BciM2sError
    ├── UsageError          the command line asks for something impossible
    ├── ConfigurationError  a YAML file: names file, line, key, got, expected
    ├── ModelError          a model file cannot be read or trusted
    ├── ContractError       stream or configuration disagrees with the model: field, got, expected
    ├── StreamError         a live stream: not found, ambiguous, malformed, lost for good
    ├── RecordingError      a recorded file cannot be read
    ├── OutputError         results cannot be written
    ├── DeviceError         the GPU failed; what does not need it can go on
    ├── ExtensionError      another package's entry cannot be used: names package, entry point, group
    ├── CommandError        a command to a running session: refused, or nobody answers
    ├── ParticipantError    of several participants some ended early, or nobody took part
    └── TrainingError       training cannot go on: a leak, a loss that ran away, too little data

Catch ``BciM2sError`` to catch all. A command line run prints the message on one line and ends with
status 2, and so it does for what an installed package's own code raises, see ``registry.blame``; anything
else is a bug and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class BciM2sError(Exception):
    """Base of every error that bci_m2s raises on purpose."""


class UsageError(BciM2sError):
    """The command line asks for something impossible."""


class ConfigurationError(BciM2sError):
    """A configuration file is wrong; the message names file, line, key, got and expected."""


class ModelError(BciM2sError):
    """A model file is truncated, damaged, unsafe, or not one of ours."""


class ContractError(BciM2sError):
    """A stream or configuration disagrees with the model's contract."""

    def __init__(self, where: str, field: str, got: object, expected: object) -> None:
        self.where = where
        self.field = field
        self.got = got
        self.expected = expected
        super().__init__(f"{where}: {field}: got {got}, expected {expected}")

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process as it is; what `got` and `expected` were may not be fit to go there."""
        return ContractError, (self.where, self.field, str(self.got), str(self.expected))


class StreamError(BciM2sError):
    """A live stream was not found, is ambiguous, is malformed, or is lost for good."""


class RecordingError(BciM2sError):
    """A recorded file is empty, damaged or of an unknown kind."""


class OutputError(BciM2sError):
    """Results cannot be written where they were asked for."""


class DeviceError(BciM2sError):
    """The GPU failed; the process cannot use it any more, but what does not need it can go on."""


class ExtensionError(BciM2sError):
    """What an installed package adds cannot be used; names the package, its entry point and the group."""


class CommandError(BciM2sError):
    """A command to a running session is refused, cannot be understood, or nobody answers it."""


class ParticipantError(BciM2sError):
    """Of several participants of a session some ended before their time, or nobody took part."""


class TrainingError(BciM2sError):
    """Training cannot go on: a leak between parts, a loss that ran away, data that do not suffice."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return "; nearest: 'x'" for the valid name most like `name`, else "; valid: a, b, c"."""
    options = [str(option) for option in valid]
    folded = {option.casefold(): option for option in options}
    found = difflib.get_close_matches(str(name).casefold(), list(folded), n=1, cutoff=0.5)
    if found:
        return f"; nearest: {folded[found[0]]!r}"
    shown = ", ".join(options[:12]) + (", ..." if len(options) > 12 else "")
    return f"; valid: {shown}" if options else ""
