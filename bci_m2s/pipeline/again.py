"""Recorded samples once more, with everything else that had an effect when they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from bci_m2s.errors import RecordingError
from bci_m2s.sources import Source
from bci_m2s.types import Chunk

Control = tuple[int, str, Mapping[str, Any]]  # before which sample, which, the event's fields
Made = TypeVar("Made")


def replayed(
    push: Callable[[Chunk], Iterable[Made]],
    control: Callable[[str, Mapping[str, Any]], None],
    samples: Callable[[], int],
    source: Source,
    controls: Sequence[Control],
) -> Iterator[tuple[int, Made | None]]:
    """Feed a recorded stream and its controls to a pipeline or stage, in their order.

    Yields (samples done, what they completed), and (samples done, None) after each chunk.

    Parameters
    ----------
    push : takes the next samples; control : does again what an event says
    samples : how many samples were taken so far, skipped ones included

    Raises
    ------
    RecordingError
        An event makes no sense.
    """
    waiting, begin = deque(controls), 0  # sample that the chunk begins with
    while not source.finished or waiting:
        chunk = source.pull(0.0)
        end = begin + len(chunk)
        while True:
            while waiting and waiting[0][0] <= samples():
                _again(control, waiting.popleft())
            done = samples()
            if done >= end:  # what was skipped may lie behind the chunk
                break
            stop = min(end, waiting[0][0]) if waiting else end
            for made in push(chunk.part(done - begin, stop - begin)):
                yield done, made
        begin = end
        yield done, None
        if not len(chunk):
            return  # what is left is about samples that the file no longer holds


def _again(control: Callable[[str, Mapping[str, Any]], None], event: Control) -> None:
    before, kind, fields = event
    try:
        control(kind, fields)
    except (KeyError, TypeError, ValueError) as problem:
        modality = fields.get("modality", "a stream")
        raise RecordingError(f"{modality}: event {kind!r} before sample {before}: {problem!r}") from None
