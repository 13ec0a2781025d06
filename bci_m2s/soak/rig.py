"""A whole session against fault senders: real LSL, a real model, the live engine, a recording.

The model is the shipped ``muse-4ch``, once for each modality, with steps of half a second: what it says
means nothing. Every stream has two more channels than the model: COUNT numbers the samples and RUN the
starts of their sender, so the recording holds the proof of what was lost.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from bci_m2s.engine.engine import Engine
from bci_m2s.features import EXTRACTORS
from bci_m2s.lsl.network import local_clock
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import load_model_file, save_model
from bci_m2s.model.predictor import Predictor
from bci_m2s.session.description import describe_session, write_session
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import connect
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.soak.accounts import INTRUDER_RUN
from bci_m2s.soak.fault_sender import FaultSender
from bci_m2s.soak.fault_spec import FaultSpec, Sent
from bci_m2s.soak.watch import Watch
from bci_m2s.sources import Environment

MODEL = "muse-4ch"
RATE_HZ = 250.0
LABELS = ("COUNT", "RUN", "TP9", "AF7", "AF8", "TP10")
UNITS = ("", "", "uV", "uV", "uV", "uV")
WINDOW_S = 2.5
STEP_S, HOP_S = 0.5, 0.25
BASELINE_S = 1.0
SPARE = "spare"  # the modality whose sender is never hurt
STEADY_S = 60.0  # until everything has an estimate; a loaded machine needs a while for the processes


class SlowPredictor(Predictor):
    """The model on a device that may be slow: ``delay_s`` is what a window takes at least."""

    delay_s = 0.0

    def predict_all(self, modality: str, features: Any) -> dict[str, Any]:
        """As the model's own, later."""
        time.sleep(self.delay_s)
        return super().predict_all(modality, features)


def write_pipeline(folder: Path, modalities: Sequence[str], mode: str, names: dict[str, str]) -> Path:
    """A pipeline file and its model, one modality for each stream.

    Parameters
    ----------
    folder : where to
    modalities : in the order of preference
    mode : "each", "auto" or "fused"
    names : of the LSL streams, by modality, and "markers" for the markers
    """
    contract, tensors = load_model_file(find_model(MODEL))
    fields = contract.model_dump(mode="json")
    muse = fields["modalities"].pop("eeg")
    muse["normaliser"]["params"] = {"duration_s": BASELINE_S}
    muse["drift"] = None  # nothing that the fault senders send is like the training people
    fields["modalities"] = {name: {**muse, "stream_type": name} for name in modalities}
    fields |= {"name": "rig", "window": {"steps": 5, "step_s": STEP_S, "hop_s": HOP_S}}
    copies = {
        f"{name}.{key.removeprefix('eeg.')}": value
        for key, value in tensors.items()
        for name in modalities
        if key.startswith("eeg.") and not key.startswith("eeg.drift.")
    }
    save_model(folder / "rig.safetensors", Contract.model_validate(fields), copies)
    settings = {
        "model": "rig.safetensors",
        "streams": {name: {"name": names[name], "wait_s": 30.0} for name in modalities},
        "markers": {"name": names["markers"], "wait_s": 30.0},
        "modality": mode,
        "back_after_s": HOP_S,
        "device": "cpu",
        "outlet": {"name": names["markers"] + "-out"},
    }
    path = folder / "rig.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def sender_spec(stream: str, modality: str, seed: int, marker_name: str = "") -> FaultSpec:
    """The stream of a sound sender of a modality. stream : its name and source id on LSL."""
    return FaultSpec(
        stream,
        type=modality,
        source_id=stream,
        rate_hz=RATE_HZ,
        labels=LABELS,
        units=UNITS,
        seed=seed,
        marker_name=marker_name,
    )


class Rig:
    """A running session with its senders; a context manager.

    Parameters
    ----------
    folder : empty; the recording, the events and the model come here
    modalities : those with faults; there is one more, the spare one, without
    mode : "each", "auto" or "fused"
    seed : of the senders' noise
    patience : how many times longer than promised anything may take; 1.0 on a machine of its own

    Attributes
    ----------
    senders : by modality
    watch : latest lines and events of the session
    engine : once entered
    predictor : its device can be made slow
    disk_delay_s : how long the disk of the recording takes to sync, on top of its own time
    rate_sound_s : local time from which on a modality's measured rate is free of an earlier fault
    settle_s : what the filters need at the beginning of a segment, s
    """

    def __init__(
        self,
        folder: Path,
        modalities: Sequence[str] = ("cap",),
        mode: str = "each",
        seed: int = 0,
        patience: float = 1.0,
    ) -> None:
        self.folder, self.mode, self.patience = folder, mode, patience
        self.modalities, every = tuple(modalities), (*modalities, SPARE)
        prefix = f"rig-{secrets.token_hex(4)}"
        names = {name: f"{prefix}-{name}" for name in (*every, "markers")}
        self.senders = {
            name: FaultSender(
                sender_spec(names[name], name, seed + number, names["markers"] if name == SPARE else "")
            )
            for number, name in enumerate(every)
        }
        self.pipeline_path = write_pipeline(folder, every, mode, names)
        self.rate_sound_s = dict.fromkeys(every, -math.inf)
        self.watch = Watch(every, chosen=mode != "each")
        self.disk_delay_s = 0.0
        self._intruders, self._finished = 0, True  # nothing has begun

    @property
    def path(self) -> Path:
        """The recording."""
        return self.folder / "session.xdf"

    @property
    def sent(self) -> dict[str, Sent]:
        """What was sent, by modality."""
        return {name: sender.sent for name, sender in self.senders.items()}

    def now_s(self) -> float:
        """Local clock."""
        return local_clock()

    # ---- life ----

    def __enter__(self) -> Rig:
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for sender in self.senders.values():
                sender.start()
            self._start_engine()
            self.wait_until_steady()
            undo.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _start_engine(self) -> None:
        plan = build.make_plan(str(self.pipeline_path))
        self.predictor = SlowPredictor(plan.contract, plan.tensors, "cpu", 1)
        self.predictor.warm_up()
        connected = connect(plan, Environment(local_clock, lambda _: None, lambda: False))
        infos = {name: source.info for name, source in connected.sources.items()}
        with contextlib.ExitStack() as unclaimed:
            unclaimed.callback(connected.close)
            publisher = build.make_publisher(plan, local_clock, is_judged=False)
            pipeline = build.make_pipeline(plan, self.predictor, infos, local_clock, publisher.emit)
            session = describe_session(plan, infos, pipeline.device, "live")
            write_session(self.folder, session)
            streams = list(infos.values())
            recorder, _ = build.make_recorder(self.folder, streams, local_clock, sync=self._sync)
            self.recorder = recorder
            publisher.attach([*build.make_sinks(plan, self.folder, session, False, recorder), self.watch])
            unclaimed.pop_all()
        self.engine = Engine(
            pipeline, connected.sources, publisher, local_clock, connected.markers, recorder=recorder
        )
        self._finished = False
        spec = plan.contract.modalities[SPARE]
        extractor, params = EXTRACTORS[spec.feature.name], dict(spec.feature.params)
        self.settle_s = float(extractor(params, spec.channels, RATE_HZ, STEP_S, HOP_S).settle_s)
        self.engine.start()

    def finish(self) -> None:
        """End the session: the recording is whole afterwards. Harmless twice."""
        if not self._finished:
            self._finished = True
            self.engine.finish()

    def close(self) -> None:
        """End the session and the senders."""
        try:
            self.finish()
        finally:
            for sender in self.senders.values():
                sender.close()

    # ---- for faults ----

    def _sync(self, descriptor: int) -> None:
        time.sleep(self.disk_delay_s)
        os.fsync(descriptor)

    def wait_until_steady(self, modality: str = "") -> bool:
        """Wait until every modality, or one, has estimates again; false when it has not within a minute.

        Where one modality answers for all, only that one can be seen: the first one, or the spare one.
        """
        since_s = self.now_s()
        names = list(self.senders)[:1] if self.mode == "auto" else list(self.senders)
        names = [modality] if modality else names
        return self.watch.wait_for(
            lambda: all(self.watch.latest(name).ok_s > since_s for name in names), STEADY_S
        )

    @contextlib.contextmanager
    def intruder(self, modality: str) -> Iterator[FaultSender]:
        """Another sender with the same description, whose samples must never make an estimate."""
        self._intruders += 1
        run = INTRUDER_RUN + self._intruders
        spec = replace(self.senders[modality].spec, run=run, marker_name="")
        self.senders[modality].sent.add(spec, refused=True)
        with FaultSender(spec) as sender:
            yield sender
