"""Live sessions of the demo's pipeline that benchmarks measure: a part of several of them.

Another process sends a simulated 62-channel headset at 1 kHz and an eye tracker in pushes of 10 ms; this
one runs the engine with its outlets, and in a folder with all that ``run --output`` writes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.engine.engine import Engine
from bci_m2s.session.description import describe_session
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import connect
from bci_m2s.sources import Environment
from bci_m2s.types import Estimate, Published

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor

STREAMS = ("eeg", "eye", "markers")
QUIET_S = 8.0  # until the first window is full
STAGES = ("transport", "features", "inference", "publish")


class Ages:
    """A sink that notes how old every window's newest sample was, and how long each stage took, s."""

    problem = ""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, tuple[float, ...]]] = []

    def open(self) -> None:
        """Nothing to open."""

    def take(self, item: Published) -> None:
        """Note it."""
        if isinstance(item, Estimate):
            self.rows.append((item.modality, item.stamps.age_s, item.stamps.stages_s))

    def close(self) -> None:
        """Nothing to close."""

    def clear(self) -> None:
        """Forget what came so far."""
        self.rows.clear()

    def ages_ms(self, modality: str = "") -> np.ndarray:
        """Of a modality's windows, of all without."""
        ages_s = np.array([age_s for name, age_s, _ in self.rows if modality in ("", name)])
        return 1e3 * ages_s[np.isfinite(ages_s)]

    def stages_ms(self, modality: str) -> dict[str, np.ndarray]:
        """By stage, of each window that passed them all."""
        stages_s = np.array([stages for name, _, stages in self.rows if name == modality])
        stages_s = stages_s[np.isfinite(stages_s).all(axis=1)]
        return dict(zip(STAGES, 1e3 * stages_s.T, strict=True))


class Live:
    """One session under way, with the engine in this process."""

    def __init__(self, engine: Engine, ages: Ages, session_id: str, recorder: Any) -> None:
        self.engine, self.ages, self.session_id, self.recorder = engine, ages, session_id, recorder

    def measure(self, seconds: float) -> float:
        """Forget what was before, go on for some seconds; returns CPU, in cores."""
        self.ages.clear()
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        self.engine.wait(seconds)
        return (time.process_time() - cpu_s) / (time.perf_counter() - begun_s)

    @property
    def lost(self) -> int:
        """Samples that the recorder had to drop."""
        return self.recorder.state().lost_samples if self.recorder is not None else 0


class Studio:
    """The sender, the plan with exactly its streams, and the model. A context manager."""

    def __init__(self) -> None:
        from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

        self.sender = SenderProcess(SenderSpec(streams=STREAMS, simulated={"seed": 0}, wait_s=30.0))
        ids = {key: info.source_id for key, info in zip(STREAMS, self.sender.infos, strict=True)}
        self.ids = ids
        self.plan = build.pinned(build.make_plan("demo"), ids)
        self.predictor: Predictor = build.make_predictor(self.plan, "cpu")

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_error: object) -> None:
        self.sender.stop()

    @contextmanager
    def session(self, folder: Path | None = None, evidence: bool = False) -> Iterator[Live]:
        """A session for a while. folder : to record into; evidence : what an open panel asks for"""
        from bci_m2s.lsl.network import local_clock

        plan = self.plan
        connected = connect(plan, Environment(local_clock, lambda _: None, lambda: False))
        infos = {modality: source.info for modality, source in connected.sources.items()}
        publisher = build.make_publisher(plan, connected.clock)
        pipeline = build.make_pipeline(plan, self.predictor, infos, connected.clock, publisher.emit)
        for modality, names in pipeline.feature_names.items():  # a made-up person: work from the start
            pipeline.adopt_baseline(modality, np.zeros(len(names)), np.ones(len(names)))
        session = describe_session(plan, infos, pipeline.device, "live")
        recorder = None
        if folder is not None:
            recorder, _ = build.make_recorder(folder, list(infos.values()), connected.clock)
        ages = Ages()
        publisher.attach([*build.make_sinks(plan, folder, session, True, recorder), ages])
        shown = build.make_evidence(plan, self.predictor, pipeline, session) if evidence else None
        engine = Engine(
            pipeline,
            connected.sources,
            publisher,
            connected.clock,
            connected.markers,
            recorder,
            evidence=shown,
        )
        engine.start()
        try:
            engine.wait(QUIET_S)
            yield Live(engine, ages, session.session_id, recorder)
        finally:
            engine.finish()
            if shown is not None:
                shown.close()
        if engine.failure is not None:
            raise engine.failure
