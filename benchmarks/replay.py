"""How fast a recorded session goes through the pipeline: 62 channels at 1 kHz and eyes, in one process.

What ``bci-m2s replay FILE`` does without a speed, from the opened recording to the written tables: eight
estimates for each second of signal, four of each modality, from the first full window on. The reference is
real time. Before anything is timed, chunks of another size must give the same bits: the checksum of every
stage and every probability.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Round, Run, at_least
from bci_m2s.errors import BciM2sError

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor
    from bci_m2s.recording.recorded import RecordedStream
    from bci_m2s.session.setup import build

Streams = dict[str, "RecordedStream"]
ODD_CHUNK = 37  # samples


def measure(run: Run) -> Iterator[Round]:
    """Milliseconds for a second of signal, whose reference is that second."""
    from bci_m2s.session.setup import build

    seconds = run.number("seconds")
    plan = build.make_plan("demo")
    streams = simulated(seconds)
    predictor = build.make_predictor(plan, "cpu")
    refuse_other_bits(run, plan, predictor, simulated(min(seconds, 20.0)))
    for _ in range(run.rounds):
        spent_s, made, _ = replay(plan, predictor, streams)
        yield {"a second of signal": (1e3 * spent_s / seconds, 1e3), "an estimate": 1e3 * spent_s / made}


def simulated(seconds: float) -> Streams:
    """EEG and eyes of a simulated person, as an opened recording has them."""
    from bci_m2s.recording.recorded import RecordedStream
    from bci_m2s.simulator import SimulatorSettings
    from bci_m2s.sources.simulated import SimulatedSource

    streams = {}
    for modality in ("eeg", "eye"):
        source = SimulatedSource(SimulatorSettings(), stream=modality, chunk_s=1.0)
        source.open()
        chunks = [source.pull(0.0) for _ in range(round(seconds))]
        times = np.concatenate([chunk.times for chunk in chunks])
        samples = np.concatenate([chunk.samples for chunk in chunks])
        streams[modality] = RecordedStream(source.info, times, reader(samples))
    return streams


def reader(samples: Any) -> Any:
    """What reads a part of them."""
    return lambda start, stop: samples[start:stop]


def replay(
    plan: build.Plan, predictor: Predictor, streams: Streams, chunk_samples: int | None = None
) -> tuple[float, int, str]:
    """Seconds, number of estimates (a reason for none counts), and a digest of all of them."""
    from bci_m2s.pipeline.pipeline import run_offline
    from bci_m2s.session.description import describe_session
    from bci_m2s.session.setup import build
    from bci_m2s.sources.replay import ReplaySource

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        begun_s = time.perf_counter()
        sources = {
            modality: ReplaySource(stream, chunk_samples=chunk_samples)
            for modality, stream in streams.items()
        }
        infos = {modality: stream.info for modality, stream in streams.items()}
        publisher = build.make_publisher(plan, clock=None)
        pipeline = build.make_pipeline(plan, predictor, infos, time.perf_counter, publisher.emit)
        for modality, names in pipeline.feature_names.items():  # a made-up person: work from the start
            pipeline.adopt_baseline(modality, np.zeros(len(names)), np.ones(len(names)))
        session = describe_session(plan, infos, pipeline.device, "replay")
        publisher.attach(build.make_sinks(plan, folder, session, outlet=False))
        made = []
        for source in sources.values():
            source.open()
        with publisher:
            for estimate in run_offline(pipeline, sources):
                publisher.put(estimate)
                made.append(estimate)
        spent_s = time.perf_counter() - begun_s
    digest = hashlib.sha256()
    for estimate in sorted(made, key=lambda one: (one.modality, one.last_index)):
        digest.update(repr((estimate.modality, estimate.last_index, estimate.trace)).encode())
        digest.update(estimate.probabilities.tobytes())
    return spent_s, len(made), digest.hexdigest()


def refuse_other_bits(run: Run, plan: build.Plan, predictor: Predictor, streams: Streams) -> None:
    """Stop when what comes out depends on how the samples are cut."""
    _, made, usual = replay(plan, predictor, streams)
    _, _, odd = replay(plan, predictor, streams, ODD_CHUNK)
    if usual != odd:
        raise BciM2sError(f"replay: chunks of {ODD_CHUNK} samples gave other bits: nothing was timed")
    run.note(f"{made} estimates have the same bits with chunks of {ODD_CHUNK} samples")


BENCHMARK = Benchmark(
    name="replay",
    question="How many times real time does a recorded session go through the pipeline?",
    minutes=1,
    figures=(
        Figure("a second of signal", "ms", "real time", at_least(150), is_speedup=True),
        Figure("an estimate", "ms"),
    ),
    measure=measure,
    settings={"seconds": 60.0},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
