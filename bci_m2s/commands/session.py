"""``bci-m2s session``: a guided session, from the signal check to the live run."""

from __future__ import annotations

import math
import shlex
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bci_m2s.errors import (
    BciM2sError,
    OutputError,
    RecordingError,
    UsageError,
)
from bci_m2s.files.access import refuse_full
from bci_m2s.files.one_process import held
from bci_m2s.recording.file_names import IN_SESSION
from bci_m2s.recording.trials import GuidedTrial, read_trials
from bci_m2s.session.protocol import planned
from bci_m2s.session.protocol.conductor import Conductor
from bci_m2s.session.protocol.keyboard import HELP, Keys, has_keyboard, reading_keys
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.parts import person_of, pipeline_of, refuse_fast, stimulus_of
from bci_m2s.session.protocol.settings import ProtocolSettings, load_protocol
from bci_m2s.session.protocol.stage import Conduct
from bci_m2s.session.remote.address import Address
from bci_m2s.session.run import Options
from bci_m2s.session.setup.shipped import find_protocol
from bci_m2s.session.terminal.view import make_console
from bci_m2s.text import printable, typed

if TYPE_CHECKING:
    from bci_m2s.session.takes import Takes

RUNNING = "this session is running"
RESUMED = "take-{}"
BETWEEN_TAKES_S = 1.0  # at least, between the stamps of a simulated person's takes


def run_guided(
    protocol: str,
    output: Path,
    *,
    fast: bool = False,
    resume: bool = False,
    panel: bool = True,
    model: str | None = None,
    device: str | None = None,
    remote: Address | None = None,
) -> bool:
    """Conduct a protocol and keep everything in `output`; whether it is complete.

    protocol : path, or the name of a shipped one
    fast : time passes faster, for a simulated person
    resume : take up the session in `output` again, at its next trial
    remote : where programs give commands, instead of where the pipeline says
    Raises what ``run_session`` raises.
    """
    from bci_m2s.commands.run import run_session
    from bci_m2s.lsl.network import local_clock

    given = {
        "--fast": fast,
        "--headless": not panel,
        "--model": model,
        "--device": device,
        "--remote": remote,
    }
    console = make_console()
    path = find_protocol(protocol)
    settings = load_protocol(path)
    settings, before, folder, from_s = _taken_up(output, console) if resume else _begun(settings, output)
    refuse_fast(path, settings, fast)  # of what is stored: the protocol beside --resume may be another one
    pipeline = pipeline_of(settings, output / planned.STORED if resume else path)
    is_simulated = settings.simulated is not None  # else stamps are those of the senders
    clock = FastClock(
        local_clock, settings.fast_speed if fast else 1.0, from_s if is_simulated else -math.inf
    )
    _say(console, settings, path, before, clock.speed)
    conduct = Conduct(
        settings,
        output,
        clock,
        before,
        person_of(settings, clock),
        stimulus_of(settings, path, clock),
        has_keyboard(),
    )
    notes: dict[str, object] = {"protocol": {"name": settings.name, "speed": clock.speed}}
    if settings.simulated is not None:
        notes["simulated_signals"] = settings.simulated.model_dump()
    conductors: list[Conductor] = []
    options = Options(
        output=folder,
        device=device,
        model=model,
        panel=panel,
        remote=remote,
        notes=notes,
        connect=conduct.person.connect if conduct.person is not None else None,
        conduct=partial(_conducting, conduct, None if resume else path, conductors),
        waits_for_baseline=settings.baseline.duration_s > 0,
    )
    try:
        run_session(pipeline, options, console)
    finally:
        if conductors and not conductors[0].is_complete:
            words = f"not complete; to go on: {again_words(protocol, output, given)}"
            console.print(words, style="yellow", soft_wrap=True)
            if (folder / IN_SESSION).is_file():
                console.print(f"a report of what there is: bci-m2s report {typed(output)}", soft_wrap=True)
    is_complete = bool(conductors) and conductors[0].is_complete
    if is_complete:
        if settings.report and (folder / IN_SESSION).is_file():
            _report(output, console)
        console.print(f"next: bci-m2s calibrate {typed(output)}", soft_wrap=True)
        console.print(f"      bci-m2s export {typed(output)} --to bids --output FOLDER", soft_wrap=True)
    return is_complete


def again_words(protocol: str, output: Path, given: Mapping[str, object]) -> str:
    """The command that takes a session up again. given : its options, false or None where they were not"""
    words = ["bci-m2s", "session", protocol, "--output", str(output)]
    for option, value in given.items():
        words += [option] if value is True else [option, str(value)] if value else []
    return shlex.join([*words, "--resume"])


def _report(folder: Path, console: Console) -> None:
    """Write the report of all takes; a session is complete without one."""
    from bci_m2s.commands.report import report_and_print

    try:
        report_and_print(folder, None)
    except BciM2sError as problem:
        console.print(f"no report: {printable(problem)}", soft_wrap=True)
    except KeyboardInterrupt:
        console.print(f"no report: stopped; later: bci-m2s report {typed(folder)}", soft_wrap=True)


@contextmanager
def _conducting(
    conduct: Conduct,
    source: Path | None,
    conductors: list[Conductor],
    takes: Takes,
    notify: Callable[[str], None],
    stop: threading.Event,
) -> Iterator[Conductor]:
    """The conductor, with the keys of the terminal where there is one.

    source : file of a protocol that begins, which is stored; None for one that is taken up again
    conductors : gets the conductor
    """
    if source is not None:
        planned.store(conduct.settings, conduct.root, source)
    with held(conduct.root, RUNNING), ExitStack() as beside:
        conductor = beside.enter_context(Conductor(conduct, takes, notify, stop))
        conductors.append(conductor)
        if conduct.has_keyboard:
            notify(HELP)
            beside.enter_context(reading_keys(Keys(conductor.controls, notify).press))
        yield conductor


def _begun(
    settings: ProtocolSettings, output: Path
) -> tuple[ProtocolSettings, list[GuidedTrial], Path, float]:
    """A new session: its order is drawn; from when on is open."""
    if (output / planned.STORED).exists():
        raise OutputError(
            f"{output}: a guided session is there already; --resume takes it up again, at its next trial"
        )
    refuse_full(output)
    return planned.draw_order(settings), [], output, -math.inf


def _taken_up(output: Path, console: Console) -> tuple[ProtocolSettings, list[GuidedTrial], Path, float]:
    """A session that was begun: its protocol, its trials, the next take's folder and earliest stamp, s."""
    from bci_m2s.recording.guided import guided_markers
    from bci_m2s.recording.xdf_skim import skim_recording

    settings = planned.stored(output)
    with held(output, RUNNING):
        pass  # nobody conducts it now
    number = 2
    while (output / RESUMED.format(number)).exists():
        number += 1
    events: list[tuple[float, str]] = []
    last_s = -math.inf
    for folder in (output, *(output / RESUMED.format(take) for take in range(2, number))):
        try:
            recording = skim_recording(folder / IN_SESSION)
            events += guided_markers(recording)
            last_s = max([last_s, *(one.last_s for one in recording.streams if math.isfinite(one.last_s))])
        except RecordingError as problem:  # a crash may leave anything
            words = f"{printable(problem)}: trials that are in no other recording are shown again"
            console.print(words, style="yellow", soft_wrap=True)
    if any(text == "session/stop" for _, text in events):
        raise UsageError(f"{output}: this session is complete, there is nothing to resume")
    console.print(f"taken up again as {output / planned.STORED} has it; changes since then do not count")
    return settings, read_trials(events), output / RESUMED.format(number), last_s + BETWEEN_TAKES_S


def _say(
    console: Console, settings: ProtocolSettings, path: Path, before: list[GuidedTrial], speed: float
) -> None:
    """What is about to happen."""
    trials = settings.trials
    what = "trials of an experiment program" if trials.show == "markers" else f"{len(trials.items)} trials"
    console.print(f"protocol {settings.name!r} ({path.name}): {what}")
    if settings.simulated is not None:
        console.print(
            "The person is simulated: signals and answers say nothing about real feelings.", style="yellow"
        )
    if speed > 1.0:
        console.print(f"time passes up to {speed:g} times as fast; stamps are of that time")
    if trials.seed is not None:
        console.print(f"order: random, balanced, seed {trials.seed}")
    if before:
        shown = {trial.number for trial in before if not trial.excluded}
        console.print(f"taken up again: trials shown already: {len(shown)}")


def describe_protocol(path: Path) -> list[tuple[str, bool]]:
    """What a protocol consists of, a line each, and whether the line is a remark.

    Raises ConfigurationError, UsageError or ModelError for what would keep it from being conducted.
    """
    from bci_m2s.session.setup.build import make_plan

    settings = planned.draw_order(load_protocol(path))
    refuse_fast(path, settings, False)
    plan = make_plan(pipeline_of(settings, path), may_be_untrained=True)
    clock = FastClock(lambda: 0.0)
    if (person := person_of(settings, clock)) is not None:
        person.check(plan, path)
    classes = [name for names in plan.contract.class_names.values() for name in names]
    trials = settings.trials
    what = (
        "trials as an experiment program shows them"
        if trials.show == "markers"
        else f"{len(trials.items)} trials"
    )
    lines = [
        f"protocol {settings.name!r}: {what}, pipeline {settings.pipeline}, model {plan.contract.name!r}"
    ]
    if trials.items:
        counts = Counter(item.label for item in trials.items)
        lines.append("trials: " + ", ".join(f"{label} {count}" for label, count in counts.items()))
    if settings.ratings:
        lines.append("questions: " + ", ".join(rating.scale for rating in settings.ratings))
    if seconds := planned.planned_s(settings):
        lines.append(f"about {seconds / 60:.0f} min, without the signal check and answers")
    stimulus_of(settings, path, clock)
    notes = [*planned.order_notes(settings, classes), planned.length_note(settings, plan.contract.window)]
    return [(line, False) for line in lines] + [(f"note: {note}", True) for note in notes if note]
