"""Participants on a terminal: a table with a row each, while they run and at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bci_m2s.engine.health import Snapshot
from bci_m2s.session.participants.one import Participant
from bci_m2s.session.terminal.view import STYLES, recording_line
from bci_m2s.text import modality_name, printable
from bci_m2s.types import Estimate, Status

HEADINGS = ("participant", "from", "estimate", "confidence", "age", "status")
SHORTENED = ("estimate", "status")  # where the terminal is narrow: the others have figures
LONGEST = 60  # of a reason in the table


def live_table(participants: Sequence[Participant], title: str) -> RenderableType:
    """Everybody at this moment."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=heading not in SHORTENED)
    for participant in participants:
        for row in _rows(participant):
            for cell in row:
                cell.no_wrap, cell.overflow = True, "ellipsis"
            table.add_row(*row)
    return table


def _rows(participant: Participant) -> list[tuple[Text, ...]]:
    """One row for each line of estimates; a single one where there is none."""
    snapshot, word, style = participant.snapshot(), state_of(participant), _style(participant)
    lines = sorted(snapshot.latest) if snapshot is not None else []
    if snapshot is None or not lines:
        return [(Text(participant.name), *[Text("")] * 4, Text(word, style=style))]
    heads = participant.plan.contract.class_names
    rows: list[tuple[Text, ...]] = []
    for number, (_, head) in enumerate(lines):
        estimate = snapshot.latest[lines[number]]
        first = participant.name if number == 0 else ""
        source = modality_name(estimate.modality) + (f" {head}" if len(heads) > 1 else "")
        cells = answer_cells(estimate, heads[head])
        rows.append((Text(first), Text(source), *cells, Text(word if number == 0 else "", style=style)))
    return rows


def answer_cells(estimate: Estimate, classes: Sequence[str]) -> tuple[Text, Text, Text]:
    """Class, confidence and age; in place of the class why there is no estimate."""
    if estimate.status is not Status.OK:
        return Text(printable(estimate.reason, LONGEST), style="yellow"), Text("–"), Text("–")
    label = Text(estimate.label(classes), style="bold")
    return label, Text(f"{estimate.confidence:.2f}"), Text(f"{1e3 * estimate.stamps.age_s:.0f} ms")


def state_of(participant: Participant) -> str:
    """How a participant stands, in a few words."""
    if participant.failure is not None:
        return printable(f"ended: {participant.describe_failure()}", LONGEST)
    if participant.is_over:
        return "never took part" if participant.waiting else "ended"
    snapshot = participant.snapshot()
    if snapshot is None:
        return printable(participant.waiting or "starting", LONGEST)
    trouble = _trouble(snapshot)
    return trouble or ("recording" if snapshot.recording is not None else "ok")


def _trouble(snapshot: Snapshot) -> str:
    """The first thing that is wrong, "" while nothing is."""
    words = list(snapshot.problems)
    words += [f"{one.modality}: {one.problem}" for one in snapshot.health if one.problem]
    words += [f"{one.modality}: silent" for one in snapshot.health if one.is_silent]
    recording = snapshot.recording
    words += [recording.problem] if recording is not None and recording.problem else []
    words += [f"{one.modality}: {len(one.bad_channels)} bad" for one in snapshot.health if one.bad_channels]
    return printable(words[0], LONGEST) if words else ""


def _style(participant: Participant) -> str:
    if participant.failure is not None:
        return STYLES["bad"]
    snapshot = participant.snapshot()
    return STYLES["warn" if snapshot is None else snapshot.state]


def plain_line(participants: Sequence[Participant]) -> str:
    """The same moment as one line, for logs and pipes."""
    return "  |  ".join(f"{one.name}: {_said(one)}" for one in participants)


def _said(participant: Participant) -> str:
    snapshot = participant.snapshot()
    if snapshot is None or participant.is_over or not snapshot.latest:
        return state_of(participant)
    heads = participant.plan.contract.class_names
    words = []
    for (_, head), estimate in snapshot.latest.items():
        if estimate.status is Status.OK:
            words.append(estimate.words(heads[head]))
        else:
            words.append(f"none ({printable(estimate.reason, LONGEST)})")
    return ", ".join(dict.fromkeys(words))


def print_summaries(console: Console, participants: Sequence[Participant]) -> None:
    """The end of the session in figures, a row for each participant."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="", title="Summary", title_justify="left")
    for heading in (
        "participant",
        "estimates",
        "none",
        "age p50, p95",
        "samples",
        "lost",
        "skipped",
        "end",
    ):
        table.add_column(heading, justify="left" if heading in ("participant", "end") else "right")
    for participant in participants:
        table.add_row(participant.name, *_figures(participant), Text(_end(participant)))
    console.print(table)
    for participant in participants:
        snapshot = participant.snapshot()
        if snapshot is not None and snapshot.recording is not None and snapshot.recording.problem:
            words = f"{participant.name}: {recording_line(snapshot.recording)}"
            console.print(words, style="bold red", soft_wrap=True)


def _figures(participant: Participant) -> tuple[str, ...]:
    takes, snapshot = participant.takes, participant.snapshot()
    if takes is None or snapshot is None:
        return ("–",) * 6
    statistics = takes.now.engine.publisher.statistics
    middle, high, _ = statistics.percentiles_ms("age")
    age = f"{middle:.0f}, {high:.0f} ms" if statistics.made else "–"
    return (
        str(sum(statistics.made.values())),
        str(sum(statistics.refused.values())),
        age,
        str(sum(health.samples for health in snapshot.health)),
        str(sum(health.lost for health in snapshot.health)),
        str(takes.now.engine.windows[1]),  # of those that could have been judged
    )


def _end(participant: Participant) -> str:
    if participant.failure is not None:
        return printable(f"failed: {participant.describe_failure()}", LONGEST)
    if participant.takes is None:
        return printable(f"never took part: {participant.waiting}", LONGEST)
    return participant.takes.switch.ended
