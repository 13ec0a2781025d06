"""Every window of a recorded stream, as a live session would have it, before a model's scaler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bci_m2s.model.contract import Contract
from bci_m2s.pipeline.again import Control, replayed
from bci_m2s.pipeline.modality import ModalityStage
from bci_m2s.recording.guided import trial_streams
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.sources.facts import NOTHING_STATED, StreamFacts
from bci_m2s.sources.replay import ReplaySource
from bci_m2s.types import FloatArray, Window


@dataclass(frozen=True)
class StreamRun:
    """One recorded stream, and what else had an effect on its processing.

    stream : described as its stage shall see it; facts : what a file states of it
    wait_for_marker : the baseline begins with a control, not with the stream
    """

    stream: RecordedStream
    facts: StreamFacts = NOTHING_STATED
    wait_for_marker: bool = False
    controls: Sequence[Control] = field(default_factory=tuple)


@dataclass(frozen=True)
class RecordedRun:
    """A recorded session as far as windows and trials need it.

    streams : by modality; markers : stamp, s, and text of each that may be of a trial, on the clock that
        the streams share
    end_s : when its last sample came, on the same clock
    """

    path: Path
    participant: str
    streams: Mapping[str, StreamRun]
    markers: Sequence[tuple[float, str]]
    end_s: float
    is_simulated: bool = False


def markers_of(recording: Recording) -> list[tuple[float, str]]:
    """Stamp, s, and text of every marker of a recording, in the order of their stamps."""
    return _in_order(recording.markers)


def trial_markers(recording: Recording) -> list[tuple[float, str]]:
    """The same of the streams alone that say what the trials were; see ``trial_streams``."""
    return _in_order(trial_streams(recording))


def _in_order(streams: Iterable[RecordedStream]) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    for stream in streams:
        shared = stream.times + stream.offsets_s()
        texts = stream.read(0, stream.n_samples)[:, 0]
        found += [(float(shared[row]), str(texts[row])) for row in np.flatnonzero(np.isfinite(shared))]
    return sorted(found, key=lambda marker: marker[0])


def end_of(streams: Mapping[str, StreamRun]) -> float:
    """When the last sample of some streams came, s, on the clock that they share; -inf without one."""
    shared = [run.stream.times + run.stream.offsets_s() for run in streams.values()]
    return max((float(times[np.isfinite(times)].max(initial=-np.inf)) for times in shared), default=-np.inf)


def recorded_windows(
    run: StreamRun,
    modality: str,
    contract: Contract,
    tensors: Mapping[str, FloatArray],
    on_measured: Callable[[Window], None] = lambda _window: None,
) -> Iterator[tuple[int, Window | None]]:
    """Yield (samples done, window), and (samples done, None) after each chunk.

    Features are relative to the person's baseline, in the model's layout and before its scaler, NaN where
    unknown. Stamps are on the clock that the recording's streams share.

    Parameters
    ----------
    on_measured : gets each valid window before that, with its features as measured

    Raises
    ------
    RecordingError
        An event of the recording makes no sense, or the file no longer reads.
    ContractError
        The stream does not fit the modality.
    """
    spec = contract.modalities[modality]
    mean = np.zeros(spec.feature.n_features)
    as_they_are = {
        "scaler.mean": mean,
        "scaler.std": mean + 1.0,
        "baseline.std": np.asarray(tensors[f"{modality}.baseline.std"], dtype=np.float64),
    }
    stage = ModalityStage(
        modality,
        spec,
        contract.window,
        run.stream.info,
        as_they_are,
        facts=run.facts,
        wait_for_marker=run.wait_for_marker,
        unknown_as=np.nan,
        on_drift="off",
    )
    source = ReplaySource(run.stream)

    def shared(window: Window) -> Window:
        offset_s = source.clock_offset_s(0.0)
        return replace(window, start_s=window.start_s + offset_s, end_s=window.end_s + offset_s)

    stage.on_measured = lambda window: on_measured(shared(window))
    for done, window in replayed(
        stage.push, stage.control, lambda: stage.state.samples, source, run.controls
    ):
        yield done, None if window is None else shared(window)
