"""What several commands understand: their common options, and what these mean."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from bci_m2s.errors import UsageError

if TYPE_CHECKING:
    from bci_m2s.lsl.configuration import LslSession

LOADING = "loading torch"  # what takes a while

Pipeline = Annotated[
    str, Argument(metavar="PIPELINE.yaml", help="Pipeline file, or the name of a shipped one.")
]
Duration = Annotated[float, Option(help="Seconds to run; 0: until Ctrl-C.", min=0)]
Output = Annotated[Path | None, Option(help="New folder for the results: estimates.csv, events.jsonl …")]
BaselineFile = Annotated[
    Path | None, Option(help="baseline.json of an earlier session of the same person.")
]
Model = Annotated[
    str | None, Option(help="Model file or name, in place of the pipeline's: one that calibrate made.")
]
Device = Annotated[str | None, Option(help="auto, cpu, cuda or cuda:N; overrides the pipeline.")]
Record = Annotated[
    bool | None,
    Option("--record/--no-record", help="Record every raw sample in session.xdf (needs --output)."),
]
Pinned = Annotated[
    list[str] | None,
    Option(metavar="MODALITY=SOURCE_ID", help="Take exactly this stream; may be repeated."),
]
SessionId = Annotated[str, Option(help="LSL SessionID: new for a random one, or text; see docs/safety.md.")]
Remote = Annotated[
    str, Option(metavar="[HOST:]PORT", help="Take commands of experiment programs there: docs/remote.md.")
]
Headless = Annotated[bool, Option("--headless", help="In the terminal only; needs no display.")]


def lsl_session(session_id: str) -> AbstractContextManager[LslSession | None]:
    """LSL with a session id of its own, or as it is; comes before liblsl is loaded."""
    from bci_m2s.lsl.configuration import fresh_session

    return fresh_session(session_id) if session_id else nullcontext()


def recording(record: bool | None, output: Path | None) -> bool:
    """Whether to record: with --output, unless switched off."""
    if record and output is None:
        raise UsageError("--record: got no --output, expected the folder to record into")
    return record is not False


def pinned(streams: Sequence[str]) -> dict[str, str]:
    """Source ids by modality, from texts MODALITY=SOURCE_ID."""
    pinned = {}
    for text in streams:
        modality, _, source_id = text.partition("=")
        if not modality or not source_id or modality in pinned:
            raise UsageError(f"--stream: got {text!r}, expected MODALITY=SOURCE_ID, each modality once")
        pinned[modality] = source_id
    return pinned


def at_work(words: str) -> AbstractContextManager[object]:
    """What takes a while to come: a line, or on a terminal one that goes when it is there."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        return console.status(words)
    print(words, flush=True)
    return nullcontext()
