"""What a session shows on a terminal: live lines, and a summary at the end."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bci_m2s.colours import class_colour
from bci_m2s.engine.health import Snapshot, StreamHealth
from bci_m2s.engine.statistics import (
    FEWEST_PER_CLASS,
    FEWEST_TRIALS,
    STAGES,
    Agreement,
    Statistics,
)
from bci_m2s.recording.disk import WARN_BELOW_S
from bci_m2s.simulator.markers import STREAM_NAME
from bci_m2s.text import modality_name, printable
from bci_m2s.types import AT_FIRST, UNKNOWN, Estimate, Status

if TYPE_CHECKING:
    from bci_m2s.recording.recorder import RecorderState

BAR = 24  # characters
STYLES = {"ok": "dim", "warn": "yellow", "bad": "bold red"}


class Terminal(Console):
    """A console whose reader may go: the session goes on, and what is printed goes nowhere."""

    def on_broken_pipe(self) -> None:
        """Print no more; rich would end the process here."""
        discard_output()


def discard_output() -> None:
    """Let nothing that is still printed fail: nobody reads it any more."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def make_console() -> Console:
    """The terminal. Text is printed as it is: names from the network may hold anything.

    Where the output goes to a file or pipe, lines are not broken.
    """
    console = Terminal(highlight=False, markup=False)
    return console if console.is_terminal else Terminal(width=240, highlight=False, markup=False)


def live_view(snapshot: Snapshot, heads: Mapping[str, Sequence[str]], title: str) -> RenderableType:
    """The whole picture of this moment: one row per modality and head, one line per stream.

    heads : class names of each head
    """
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=False)
    for line in _lines(snapshot):
        for head, classes in heads.items():
            estimate = snapshot.latest.get((line, head))
            table.add_row(*_row(_subject(_maker(line, estimate), head, heads), estimate, classes))
    lines = [Text(health_line(health), style=STYLES[health.state]) for health in snapshot.health]
    if snapshot.recording is not None:
        low = snapshot.recording.seconds_left < WARN_BELOW_S
        style = STYLES["bad" if snapshot.recording.problem else "warn" if low else "ok"]
        lines.append(Text(recording_line(snapshot.recording), style=style))
    lines += [Text(problem, style="bold red") for problem in snapshot.problems]
    return Group(table, *lines, Text(f"{snapshot.elapsed_s:6.1f} s   Ctrl-C ends", style="dim"))


def _lines(snapshot: Snapshot) -> list[str]:
    """Keys of ``Snapshot.latest``: one line, or one per modality."""
    return [""] if snapshot.chosen is not None else [health.modality for health in snapshot.health]


def _maker(line: str, estimate: Estimate | None) -> str:
    return modality_name(line) or (f"from {modality_name(estimate.modality)}" if estimate else "estimate")


def _subject(modality: str, head: str, heads: Mapping[str, Sequence[str]]) -> str:
    """What an estimate is of: the modality, with the head where there are several."""
    return f"{modality} {head}" if len(heads) > 1 else modality


def _row(subject: str, estimate: Estimate | None, classes: Sequence[str]) -> tuple[Text, ...]:
    if estimate is None:
        return (Text(subject), Text("waiting for the first window", style="dim"), Text(""), Text(""))
    if estimate.status is not Status.OK:
        return (
            Text(subject),
            Text("no estimate", style="yellow"),
            Text(estimate.reason, style="yellow"),
            Text(""),
        )
    likeliest = int(np.argmax(estimate.probabilities))
    bars = Text()
    for index, (name, share) in enumerate(zip(classes, estimate.probabilities, strict=True)):
        colour = class_colour(index)
        bars.append(f"{name} ", style="bold" if index == likeliest else "dim")
        bars.append("█" * round(BAR * share / 2), style=colour)
        bars.append(f" {share:.2f}  ", style="bold" if index == likeliest else "dim")
    number = "" if estimate.unknown else f"{estimate.confidence:.2f}"  # that of a class is beside its bar
    label = Text(f"{estimate.label(classes).upper():<10} {number}", style="bold")
    return (Text(subject), label, bars, Text(f"age {_ms(estimate.stamps.age_s)}", style="dim"))


def plain_line(snapshot: Snapshot, heads: Mapping[str, Sequence[str]]) -> str:
    """The same moment as one line, for logs and pipes. heads : class names of each head."""
    answers = []
    for line in _lines(snapshot):
        for head, classes in heads.items():
            estimate = snapshot.latest.get((line, head))
            answers.append(f"{_subject(_maker(line, estimate), head, heads)}: {_answer(estimate, classes)}")
    said = ", ".join(answers)
    parts = [said] * bool(answers) + [_plain_health(health, said) for health in snapshot.health]
    recording = snapshot.recording
    if recording is not None and (recording.problem or recording.seconds_left < WARN_BELOW_S):
        parts.append(recording_line(recording))
    return f"{snapshot.elapsed_s:6.1f} s  " + "  |  ".join([*parts, *snapshot.problems])


def _bad_channels(health: StreamHealth, most: int = 3) -> str:
    """Channels that are not good, by what is wrong with them: ", flat: FP1, FPZ, FP2 and 17 more"."""
    by_state: dict[str, list[str]] = {}
    for label, state in health.bad_channels.items():
        by_state.setdefault(state, []).append(label)
    words = ""
    for state, labels in by_state.items():
        more = f" and {len(labels) - most} more" if len(labels) > most else ""
        words += f", {state}: {', '.join(labels[:most])}{more}"
    return words


def _plain_health(health: StreamHealth, said: str) -> str:
    """said : what the line says before it"""
    silence = f", {_last(health)}" if health.is_silent else ""
    problem = f", {health.problem}" if health.problem and health.problem not in said else ""
    beginning = f"{modality_name(health.modality)} {_rate(health)}, lost {health.lost}"
    return f"{beginning}{silence}{_bad_channels(health)}{_drift(health)}{problem}"


def _drift(health: StreamHealth) -> str:
    """How far the features are from the training's: ", drift 0.42 of limit 1"; "" where not measured."""
    if health.drift is None or math.isnan(health.drift.distance):
        return ""
    return f", drift {health.drift.distance:.2f} of limit 1"


def _answer(estimate: Estimate | None, classes: Sequence[str]) -> str:
    if estimate is None:
        return "waiting for the first window"
    if estimate.status is not Status.OK:
        return f"no estimate: {estimate.reason}"
    return f"{estimate.words(classes)} (age {_ms(estimate.stamps.age_s)})"


def health_line(health: StreamHealth) -> str:
    """Rate, samples, loss and silence of a stream."""
    counts = f"{health.samples} samples, lost {health.lost}"
    name = f"{modality_name(health.modality):<5} {health.name!r}"
    line = f"{name}: {_rate(health)}, {counts}, {_last(health)}{_bad_channels(health)}{_drift(health)}"
    return line + (f", {health.problem}" if health.problem else "")


def recording_line(state: RecorderState) -> str:
    """What the recorder has done, or what hinders it."""
    size = f"{state.bytes_written / 1e6:.1f} MB, {state.samples_written} samples"
    lost = f", {state.lost_samples} samples LOST" if state.lost_samples else ""
    waiting = f"{state.waiting_bytes / 1e6:.1f} MB wait in memory"
    trouble = f": {state.problem}, {waiting}" if state.problem else ""
    if state.seconds_left < WARN_BELOW_S:  # false for NaN
        trouble += f", disk full in about {state.seconds_left / 60:.0f} minutes"
    return f"recording {state.path.name}: {size}{lost}{trouble}"


def _last(health: StreamHealth) -> str:
    if math.isnan(health.age_s):
        return "nothing yet"
    age = _ms(health.age_s) if health.age_s < 1 else f"{health.age_s:.1f} s"
    return f"last {age} ago"


def _rate(health: StreamHealth) -> str:
    if not health.rate_hz:
        return "irregular"
    if math.isnan(health.measured_hz):
        return f"{health.rate_hz:g} Hz" + ("" if health.is_silent else " (measuring)")
    return f"{health.measured_hz:.1f} of {health.rate_hz:g} Hz"


def _ms(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{1e3 * seconds:.1f} ms"


def print_summary(
    console: Console,
    statistics: Statistics,
    health: Sequence[StreamHealth],
    skipped: int,
    truth: Sequence[tuple[float, float, str]] = (),
    markers: Sequence[tuple[float, str, str]] = (),
    caution: str = "",
    notes: Sequence[str] = (),
    is_one_line: bool = False,
) -> None:
    """The end of a session in figures.

    truth : spans (start, end, class) where the class is known
    markers : (time, text, origin) from which it is known
    caution : what must be said beside an agreement; "" for nothing
    notes : what is worth a line about the streams
    is_one_line : modalities take turns (`auto`) or answer together (`fused`)
    """
    is_simulated = all(origin == STREAM_NAME for _, _, origin in markers)
    truth_of = "the simulator's state" if is_simulated else "the trials' labels"
    modalities = list(
        dict.fromkeys([stream.modality for stream in health] + [name for name, _ in statistics.made])
    )
    console.print("\nSummary", style="bold")
    for modality in modalities:
        if is_one_line and statistics.made and not any(name == modality for name, _ in statistics.made):
            by = ", ".join(dict.fromkeys(modality_name(name) for name, _ in statistics.made))
            console.print(f"{modality_name(modality)}: no estimate by itself; {by} answered")
        else:
            for head in statistics.heads:
                _print_answers(console, statistics, modality, head, truth, truth_of)
        for (name, status), count in statistics.refused.items():
            if name == modality:
                words = "" if status in AT_FIRST else f" (at last: {statistics.reasons[modality, status]})"
                times = f"{count} time{'s' * (count != 1)}"
                console.print(f"  no estimate {times}: {status.name.lower()}{words}")
    if caution and truth:
        console.print(f"note: {caution}", style="yellow")
    for stream in health:
        problem = f"; {stream.problem}" if stream.problem else ""
        is_loss = stream.lost <= stream.samples  # else it is no loss
        words = "lost" if is_loss else "missing by the stamps: a pause, or wrong stamps?"
        counts = f"{stream.samples} received, {stream.lost} {words}"
        console.print(f"samples from {stream.name!r}: {counts}{problem}")
    print_notes(console, notes)
    if skipped:
        console.print(f"windows skipped because inference fell behind: {skipped}")
    _print_durations(console, statistics)


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """What is worth a line about a session's streams."""
    for note in notes:
        console.print(f"note: {printable(note, 500)}", style="yellow")


def _print_answers(
    console: Console,
    statistics: Statistics,
    modality: str,
    head: str,
    truth: Sequence[tuple[float, float, str]],
    truth_of: str,
) -> None:
    classes, unknown = statistics.heads[head], statistics.labels[modality, head, UNKNOWN]
    shares = [f"{name} {statistics.labels[modality, head, name]}" for name in classes]
    shares += [f"{UNKNOWN} {unknown}"] if unknown else []
    subject = _subject(modality_name(modality), head, statistics.heads)
    console.print(f"{subject}: {statistics.made[modality, head]} estimates ({', '.join(shares)})")
    if not any(label in classes for _, _, label in truth):  # the truth answers another question
        return
    console.print(f"  {_agreement(statistics.agreement(truth, modality, head), truth_of, len(classes))}")


def _agreement(found: Agreement, truth_of: str, n_classes: int) -> str:
    n_trials = f"{len(found.shares)} trial{'s' * (len(found.shares) != 1)}"
    if not found.is_enough:
        return (
            f"agreement with {truth_of}: {n_trials} with an answer, too few to say "
            f"({FEWEST_TRIALS} and {FEWEST_PER_CLASS} per class are needed)"
        )
    low, high = found.interval
    return (
        f"agreement with {truth_of}: {found.share:.2f} (95 % interval {low:.2f} to {high:.2f}; {n_trials}, "
        f"{found.windows} windows; chance {1 / n_classes:.2f})"
    )


def _print_durations(console: Console, statistics: Statistics) -> None:
    rows = [(stage, statistics.percentiles_ms(stage)) for stage in STAGES]
    rows = [(stage, points) for stage, points in rows if not math.isnan(points[0])]
    if not rows:
        return
    table = Table(
        box=None, padding=(0, 2, 0, 0), title="milliseconds", title_justify="left", title_style=""
    )
    for heading in ("stage", "p50", "p95", "p99"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage, points in rows:
        table.add_row(stage, *(f"{value:.2f}" for value in points))
    console.print(table)
