"""``bci-m2s show FILE``: what a recording holds, in words and as a picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bci_m2s.colours import CLASS_COLOURS
from bci_m2s.errors import UsageError
from bci_m2s.lsl.formats import ESTIMATES_TYPE, EVENTS_TYPE
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.event_lines import TOGETHER_S, event_lines, together
from bci_m2s.review.facts import Answers, RecordingFacts, RecordingStream, recording_facts
from bci_m2s.review.picture import check_picture, save_picture, session_figure
from bci_m2s.review.session_model import find_session_model, recorded_path
from bci_m2s.text import printable
from bci_m2s.types import Status

MOST_EVENT_LINES = 40
LONGEST_LINE = 96  # characters of one line of text, so that it fits into 100 columns
LONGEST_NAME = 24
WIDEST_TABLE = 160  # it takes what it needs; nothing of it is left out on a narrow terminal
HEADINGS = ("name", "type", "Hz, measured", "ch", "samples", "length", "gaps", "clock offset")
RIGHT_ALIGNED = ("ch", "clock offset", "length", "samples", HEADINGS[2])
SHORT_TYPES = {ESTIMATES_TYPE: "estimates", EVENTS_TYPE: "events"}


def show_file(file: Path, picture: Path | None, console: Console) -> None:
    """Print what a recording holds; draw it too where a name for the picture is given.

    Any kind of recording that ``open_recording`` knows is shown; what only sessions of bci_m2s have
    (model, estimates, events) is left out for others.

    Raises
    ------
    RecordingError
        The file cannot be read at all. Damage that leaves something to read is printed as a warning.
    OutputError
        The picture is there already, or cannot be written.
    """
    if picture is not None:
        check_picture(picture)
    with console.status(Text(f"reading {printable(file)}")):
        facts = recording_facts(open_recording(file))
    _print_head(console, facts)
    _print_streams(console, facts)
    _print_answers(console, facts)
    _print_events(console, facts)
    if picture is not None:
        with console.status("drawing") as status:
            figure = session_figure(facts, CLASS_COLOURS, lambda words: status.update(Text(words)))
            save_picture(picture, figure)
        console.print(f"picture: {printable(picture)}", soft_wrap=True)


# ---- head ----


def _print_head(console: Console, facts: RecordingFacts) -> None:
    path = facts.recording.path
    begun = facts.session.begun_utc if facts.session is not None else ""
    line = f"{path}: {path.stat().st_size / 1e6:.1f} MB, {_clock(facts.end_s)}"
    console.print(printable(line) + (f", started {printable(begun, 40)}" if begun else ""), soft_wrap=True)
    for words in _session_lines(facts):
        console.print(printable(words, 400), soft_wrap=True)
    if facts.simulated:
        console.print(
            f"SIMULATED: {' and '.join(facts.simulated)}; nothing here says anything about real feelings",
            style="yellow",
        )
    if facts.recording.damage:
        console.print(printable(facts.recording.damage), style="bold red", soft_wrap=True)
    warnings = [f"warning: {warning}" for warning in facts.recording.warnings]
    for words in (*warnings, *(f"note: {note}" for note in facts.notes)):
        console.print(printable(words, 300), style="yellow", soft_wrap=True)


def _session_lines(facts: RecordingFacts) -> Iterable[str]:
    session = facts.session
    if session is None:
        yield "not a session of bci_m2s, or its description is lost: only streams are shown"
        return
    if not session.model_name:
        yield f"recorded without a model, mode {session.mode}"
    else:
        yield f"pipeline {session.pipeline.file}, model {session.model_name!r}"
        try:
            yield f"model file: {find_session_model(facts.recording.path, session)}"
        except UsageError:
            was = recorded_path(session)
            yield f"model file: not found; verify and replay need --model PATH (it was {was})"
        yield f"mode {session.mode}, modality {session.pipeline.modality}, device {session.device}"
    versions = {"bci_m2s": session.bci_m2s, **session.versions}
    parts = [f"{name} {value}" for name, value in versions.items() if value and name != "system"]
    yield f"versions: {', '.join(parts)}"


def _clock(time_s: float) -> str:
    """Seconds, with minutes in front where it is long."""
    if math.isnan(time_s):
        return "–"
    if time_s < 600:
        return f"{time_s:.1f} s"
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes} min {seconds} s"


# ---- streams ----


def _print_streams(console: Console, facts: RecordingFacts) -> None:
    console.print("\nstreams", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in RIGHT_ALIGNED else "left", no_wrap=True)
    for stream in facts.streams:
        table.add_row(*_stream_row(stream))
    console.print(table, width=WIDEST_TABLE, crop=False)
    for stream in facts.raw_streams:
        name = printable(f"{stream.info.name} ({stream.info.type})", LONGEST_NAME)
        if stream.early_s:
            console.print(f"{name}: {stream.ended_words}", style="yellow")
        if stream.backward:
            console.print(f"{name}: stamps run backwards {stream.backward} times", style="yellow")


def _stream_row(stream: RecordingStream) -> tuple[str, ...]:
    info = stream.info
    rate = "–" if math.isnan(stream.rate_hz) else f"{stream.rate_hz:.2f}"
    gaps = f"{len(stream.gaps)}, {stream.gaps_s:.2f} s" if len(stream.gaps) else "none"
    return (
        printable(info.name, LONGEST_NAME),
        printable(SHORT_TYPES.get(info.type, info.type), 12),
        f"{info.rate_hz:g}, {rate}" if info.rate_hz else "irregular",
        str(info.n_channels),
        str(stream.n_samples),
        _clock(stream.length_s),
        gaps if stream.is_regular else "–",
        _offsets(stream.clock_offsets),
    )


def _offsets(measured: np.ndarray[Any, Any]) -> str:
    """Range of the measured clock offsets; of far clocks the middle and half the range."""
    values = measured[:, 1][np.isfinite(measured[:, 1])]
    if not len(values):
        return "not measured"
    low, high = float(values.min()), float(values.max())
    if max(abs(low), abs(high)) < 1:
        return f"{round(1e3 * low, 2) + 0.0:.2f} to {round(1e3 * high, 2) + 0.0:.2f} ms"
    half = (high - low) / 2
    around = f"{1e3 * half:.2f} ms" if half < 1 else f"{half:.0f} s"
    return f"{(low + high) / 2:.1f} s ± {around}"


# ---- answers ----


def _print_answers(console: Console, facts: RecordingFacts) -> None:
    for answers in facts.answers:
        n, made = len(answers.times_s), int(answers.made.sum())
        console.print(
            f"\n{printable(answers.head, 40)}: {n} answers, {made} of them estimates", style="bold"
        )
        for maker, name in enumerate(answers.makers):
            here = answers.maker == maker
            if here.any():
                console.print(
                    f"  {printable(name, 30)}: {printable(_made_by(answers, here), 300)}", soft_wrap=True
                )


def _made_by(answers: Answers, here: np.ndarray[Any, Any]) -> str:
    """How many estimates of which class, and the reasons of the others."""
    made = answers.made & here
    known = made & ~answers.unknown & np.isfinite(answers.probabilities).all(axis=1)
    there = known.any() and len(answers.classes) > 0
    best = Counter(np.argmax(answers.probabilities[known], axis=1).tolist()) if there else Counter()
    words = [f"{answers.classes[index]} {best[index]}" for index in range(len(answers.classes))]
    words.append(f"unknown {int((made & answers.unknown).sum())}")
    refused = Counter(answers.status[here & ~answers.made].tolist())
    names = {int(status): status.name.lower().replace("_", " ") for status in Status}
    reasons = [f"{names.get(code, f'code {code}')} {count}" for code, count in sorted(refused.items())]
    estimates = f"{int(made.sum())} estimates ({', '.join(words)})" if made.any() else "no estimate"
    return estimates + (f"; none: {', '.join(reasons)}" if reasons else "")


# ---- events ----


def _print_events(console: Console, facts: RecordingFacts) -> None:
    lines = together(event_lines(facts), TOGETHER_S)
    if len(lines) > MOST_EVENT_LINES:  # a long session: consecutive events of a kind are summed up
        lines = together([replace(line, subject=line.subject or line.kind) for line in lines], math.inf)
    if not lines:
        return
    console.print("\nevents", style="bold")
    for line in lines[:MOST_EVENT_LINES]:
        start = f"{line.time_s:9.1f} s  {printable(line.kind, 17):<17}  "
        console.print(start + printable(line.words(), LONGEST_LINE - len(start)))
    rest = Counter(line.kind for line in lines[MOST_EVENT_LINES:] for _ in range(line.count))
    if rest:
        counts = ", ".join(f"{printable(kind, 20)} {count}" for kind, count in rest.most_common(8))
        console.print(f"  … and {sum(rest.values())} more: {counts}")
