"""A session's description from its plan, and ``session.yaml``."""

from __future__ import annotations

import os
import platform
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

import bci_m2s
from bci_m2s.files.checksum import file_sha256
from bci_m2s.files.whole import write_whole
from bci_m2s.lsl.description import SessionDescription, StreamDescription
from bci_m2s.model import arithmetic
from bci_m2s.pipeline.failover import combinations
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.session.setup.build import Plan
from bci_m2s.types import StreamInfo

PACKAGES = ("numpy", "scipy", "torch", "pylsl", "mne", "pyxdf")


def describe_session(
    plan: Plan,
    infos: Mapping[str, StreamInfo],
    device: str,
    mode: str,
    notes: Mapping[str, Any] = MappingProxyType({}),
) -> SessionDescription:
    """Everything needed to understand and repeat a session.

    Nothing random happens in a session; the seeds are those of the model's training and, in `notes`,
    of a simulation.
    """
    contract = plan.contract
    return SessionDescription.model_validate(
        {
            "bci_m2s": bci_m2s.__version__,
            "mode": mode,
            "session_id": uuid.uuid4().hex,
            **notes,
            "begun_utc": utc_now(),
            "pipeline": {"file": plan.path.name, **plan.settings.model_dump(mode="json")},
            "model": {
                "name": contract.name,
                "file": plan.model_path.name,
                "path": _from_here(plan.model_path),
                "sha256": file_sha256(plan.model_path),
                "simulated": contract.simulated,
                "training": contract.training,
            },
            "heads": contract.class_names,
            "coordinates": {head: part.valence_arousal for head, part in contract.heads.items()},
            "modalities": list(infos),
            "voices": combinations(plan.settings.modality, list(infos)),
            "window": contract.window.model_dump(mode="json"),
            "streams": {modality: StreamDescription.of(info) for modality, info in infos.items()},
            "device": device,
            "arithmetic": arithmetic.mode() if device == "cpu" else "",
            "outlet_name": plan.settings.outlet.name,
            "versions": {"system": platform.platform(), **versions()},
        }
    )


def _from_here(path: Path) -> str:
    """A path from the working folder, which says less of the machine than an absolute one."""
    try:
        return Path(os.path.relpath(path)).as_posix()
    except ValueError:  # on another drive
        return path.name


def for_displays(session: SessionDescription, plan: Plan, pipeline: Pipeline) -> SessionDescription:
    """The description with what a display wants to know: too long for a file, and in the model anyway."""
    features = {modality: tuple(names) for modality, names in pipeline.feature_names.items()}
    params = {modality: plan.contract.modalities[modality].feature.params for modality in features}
    bands = {modality: values["bands_hz"] for modality, values in params.items() if "bands_hz" in values}
    channels = {modality: pipeline.channels(modality) for modality in features}
    return session.model_copy(update={"features": features, "bands": bands, "channels": channels})


def utc_now() -> str:
    """This moment, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of what estimates depend on."""
    found = {"python": platform.python_version(), **{name: _installed(name) for name in PACKAGES}}
    pylsl = sys.modules.get("pylsl")
    if pylsl is not None:
        found["liblsl"] = str(pylsl.library_version())
    return found


@cache
def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def write_session(folder: Path, session: SessionDescription) -> None:
    """Write ``session.yaml``. Raises OutputError."""
    text = yaml.safe_dump(session.values(), sort_keys=False, allow_unicode=True, width=100)
    write_whole(folder / "session.yaml", text, overwrite=False, private=True)
