"""What a protocol names, made and checked: its pipeline, its simulated person, what shows its trials."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.errors import ConfigurationError, UsageError, nearest
from bci_m2s.files.places import with_line
from bci_m2s.files.shipped import names
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.session.protocol.mpv import Mpv
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.person import SimulatedPerson
from bci_m2s.session.protocol.program import Program
from bci_m2s.session.protocol.settings import ProtocolSettings
from bci_m2s.session.protocol.stimulus import Stimulus
from bci_m2s.session.setup.shipped import find_pipeline
from bci_m2s.text import quoted


def refuse_fast(path: Path, settings: ProtocolSettings, fast: bool) -> None:
    """Refuse what a simulated person, or a time that passes faster, cannot do.

    Raises UsageError or ConfigurationError.
    """
    if fast and settings.simulated is None:
        raise UsageError(f"--fast: {path.name} has no simulated person, and real ones live in real time")
    if settings.simulated is not None and settings.trials.show == "markers":
        raise ConfigurationError(
            f"{path}: trials.show: got 'markers', expected 'text' or 'clips' where the person is simulated"
        )
    if fast and settings.trials.show != "text":
        raise UsageError(f"--fast: {path.name} shows {settings.trials.show}, which take their own time")


def person_of(settings: ProtocolSettings, clock: FastClock) -> SimulatedPerson | None:
    """Return the person who takes part, None where that is a real one."""
    if settings.simulated is None:
        return None
    return SimulatedPerson(settings.simulated, [item.label for item in settings.trials.items], clock)


def stimulus_of(settings: ProtocolSettings, path: Path, clock: FastClock) -> Stimulus | None:
    """Return what shows the trials, checked; None where words or an experiment program do.

    path : the protocol file. Raises ConfigurationError for what cannot be shown.
    """
    trials, screen = settings.trials, settings.trials.screen
    stimulus: Stimulus
    if trials.show == "clips":
        # mpv takes the last screen where there are fewer
        number = 1 if screen.number is None else screen.number
        stimulus = Mpv(
            clock, path.parent, number, screen.fullscreen, volume=screen.volume, options=screen.options
        )
    elif trials.show == "program":
        stimulus = Program(trials.command, clock, trials.prints_onset, path.parent)
    else:
        return None
    items = ((item.clip, item.duration_s or trials.duration_s) for item in trials.items)
    if problems := stimulus.check(items):
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigurationError(f"{path}: trials: {problems[0]}{more}")
    return stimulus


def pipeline_of(settings: ProtocolSettings, path: Path) -> str:
    """Return the path of the pipeline: beside the protocol, or a shipped one.

    path : the protocol file. Raises ConfigurationError where there is none.
    """
    beside = path.parent / settings.pipeline
    if beside.is_file():
        return str(beside)
    try:
        return str(find_pipeline(settings.pipeline))
    except UsageError:
        words = (
            f"pipeline: got {quoted(settings.pipeline)}, expected a file in {path.parent}, or the name of "
            f"a shipped pipeline{nearest(settings.pipeline, names('pipelines', '.yaml'))}"
        )
        raise ConfigurationError(with_line(path, read_yaml(path)[1], words)) from None
