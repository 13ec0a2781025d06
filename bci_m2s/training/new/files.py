"""The training file and the pipeline of a project as texts, with what to know beside each key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bci_m2s.simulator.state import CENTRES
from bci_m2s.training.new.project import EegPart, EyePart, Project
from bci_m2s.training.new.skin import SkinPart
from bci_m2s.training.new.window import FEWEST_STEPS, USUAL

WIDTH = 108
FEWEST_FOR_FIFTHS = 10  # people: from here on a fifth tests and a fifth validates


def training_yaml(project: Project) -> str:
    """The training file."""
    parts = [
        f"# Trains {project.name}.safetensors:",
        "#   bci-m2s pretrain training.yaml",
        f"#   bci-m2s finetune training.yaml --out {project.name}.safetensors",
        "#   bci-m2s evaluate training.yaml",
        "# docs/own-model.md goes through it, docs/reference.md has every key.",
        "contract:",
        f"  name: {_flow(project.name)}",
        f"  simulated: {_flow(project.is_simulated)}",
        "  heads:",
        "    emotion:",
        f"      classes: {_flow(list(project.classes), 6)}",
        *_plane(project.classes),
        f"  window: {_flow(project.window.model_dump())}",
        "  modalities:",
        *(_eeg(project.eeg, project) if project.eeg else []),
        *(_eye(project.eye, project) if project.eye else []),
        *(_skin(project.skin, project) if project.skin else []),
        f"pair: {_flow(project.pair)}",
        "data:",
        "  format: recordings",
        f"  root: {_flow(project.root)}  # sub-P001/ses-S001/session.xdf and so on, relative to this file",
        *_markers(project),
        *_facts(project),
        *_split(project),
        *_effort(project),
    ]
    return "\n".join(parts) + "\n"


def pipeline_yaml(project: Project) -> str:
    """The pipeline."""
    lines = [
        "# Runs the model live:  bci-m2s run pipeline.yaml --output sessions/sub-P100",
        "# Every marker stream on the network is recorded too.",
        f"model: {_flow(f'{project.name}.safetensors')}",
        "streams:  # the first that is usable leads" if len(project.pair) > 1 else "streams:",
    ]
    for name, part in project.parts.items():
        wanted = {"name": part.stream.name} if part.by_name else {}
        stream = _flow({**wanted, "type": part.stream.type, **part.facts}, 4)
        lines.append(f"  {name}: {stream}  # {_comment(part)}")
    if len(project.pair) > 1:
        lines.append("modality: auto  # one answer: when a signal fails, the other one goes on")
    return "\n".join(lines) + "\n"


def _comment(part: EegPart | EyePart | SkinPart) -> str:
    if part.by_name:
        return "there were several of its type"
    name = part.stream.name
    return f"for instance {name!r}; where there are several of its type, add name: …" if name else "any"


def _plane(classes: tuple[str, ...]) -> list[str]:
    """Where the classes lie in the plane, where all of them are words for which that is known."""
    places = {name: CENTRES.get(name.casefold()) for name in classes}
    if None in places.values():
        return []
    return [
        f"      valence_arousal: {_flow({name: list(place or ()) for name, place in places.items()}, 6)}"
    ]


def _normaliser(project: Project) -> str:
    if project.baseline_s:
        params = f"{{duration_s: {project.baseline_s:.1f}}}"
        return f"      normaliser: {{name: baseline, params: {params}}}  # of rest, before the first trial"
    return "      normaliser: {name: rolling}  # no rest to speak of before the first trial"


def _eeg(part: EegPart, project: Project) -> list[str]:
    slowest, fastest = part.rates_hz
    params: dict[str, Any] = {}
    if (
        set(part.bands_hz) != {"delta", "theta", "alpha", "beta", "gamma"}
        or part.bands_hz["gamma"][1] < 50.0
    ):
        params["bands_hz"] = {name: list(edges) for name, edges in part.bands_hz.items()}
    params["notch_hz"] = part.notch_hz
    count = len(part.channels)
    feature = {"name": "de", "params": params}
    network = {"name": "m2s-electrode", "params": {"depth": 2, "ffn": 128 if count < 16 else 256}}
    return [
        "    eeg:",
        f"      stream_type: {_flow(part.stream.type)}",
        f"      rate_min_hz: {slowest:g}",
        f"      rate_max_hz: {fastest:g}",
        f"      channels: {_flow(part.names, 6)}",
        f"      units: {_flow([part.unit] * count, 6)}",
        f"      reference: {_flow(part.reference)}",
        f"      feature: {_flow(feature, 6)}",
        _normaliser(project),
        "      quality: {railed_share: 0.5, noisy_ratio: 8.0}",
        "      max_missing: 0.25",
        f"      network: {_flow(network)}",
    ]


def _eye(part: EyePart, project: Project) -> list[str]:
    slowest, fastest = part.rates_hz
    lines = [
        "    eye:",
        f"      stream_type: {_flow(part.stream.type)}",
        f"      rate_min_hz: {slowest:g}",
        f"      rate_max_hz: {fastest:g}",
        f"      channels: {_flow(list(part.channels), 6)}",
        f"      units: {_flow(list(part.units), 6)}",
        "      feature:",
        "        name: eye",
        "        params:",
        f"          columns: {_flow(part.tracker.columns, 10)}",
        f"          gaze_unit: {part.tracker.gaze_unit}",
    ]
    if part.degrees is not None:
        of_camera = part.degrees == part.tracker.field_deg
        whose = "of the camera's picture" if of_camera else "2 atan(width / 2 distance) of the screen"
        lines += [
            f"          degrees_per_unit_x: {part.degrees[0]}  # {whose}",
            f"          degrees_per_unit_y: {part.degrees[1]}",
        ]
    if part.tracker.loss_values:
        lines.append(f"          loss_values: {_flow(list(part.tracker.loss_values))}")
    return [
        *lines,
        _normaliser(project),
        "      max_missing: 0.3",
        "      network: {name: m2s-sequence, params: {depth: 2, ffn: 256, causal: true}}",
    ]


def _skin(part: SkinPart, project: Project) -> list[str]:
    slowest, fastest = part.rates_hz
    feature = {"name": "physiology", "params": {"columns": {"gsr": part.channel}}}
    return [
        "    skin:",
        f"      stream_type: {_flow(part.stream.type)}",
        f"      rate_min_hz: {slowest:g}",
        f"      rate_max_hz: {fastest:g}",
        f"      channels: {_flow([part.channel])}",
        f"      units: {_flow([part.unit])}",
        f"      feature: {_flow(feature)}",
        _normaliser(project),
        "      max_missing: 0.3",
        "      network: {name: m2s-sequence, params: {depth: 2, ffn: 128, causal: true}}",
    ]


def _markers(project: Project) -> list[str]:
    scheme = project.scheme
    is_astray = any("stamps" in part.facts for part in project.parts.values())
    return [
        "  markers:",
        f"    start: {_quoted(scheme.start)}",
        f"    stop: {_quoted(scheme.stop)}"
        + ("" if scheme.stop or project.lasts else "  # until the next one"),
        *(
            ["    duration_s: annotated  # each marker says how long its trial lasts"]
            if project.lasts
            else []
        ),
        *([f"    labels: {_flow(dict(project.codes), 4)}"] if project.codes else []),
        *(["    stamps: arrival  # a sender's are not LSL time"] if is_astray else []),
    ]


def _facts(project: Project) -> list[str]:
    facts = {
        name: {
            key: fact for key, fact in part.facts.items() if key != "stamps"
        }  # those are with the markers
        for name, part in project.parts.items()
    }
    facts = {name: stated for name, stated in facts.items() if stated}
    return [f"  streams: {_flow(facts, 2)}  # as in pipeline.yaml"] if facts else []


def _split(project: Project) -> list[str]:
    """By people from three on; with fewer by the trials of each, which says nothing of other people."""
    if project.people in (1, 2):
        train = max(2 * len(project.classes), round(0.7 * project.trials))
        kind = {"kind": "trials", "train_trials": train, "validation_trials": 1}
        return [f"split: {_flow(kind)}  # too few people to keep some apart"]
    part = project.people // 5 if project.people >= FEWEST_FOR_FIFTHS else 1
    kind = {"kind": "subjects", "test_subjects": part, "validation_subjects": part}
    remark = "" if project.people >= FEWEST_FOR_FIFTHS else "  # from ten people on, a fifth each"
    return [f"split: {_flow(kind)}{remark}"]


def _effort(project: Project) -> list[str]:
    windows = f"windows: {{every_hops: {4 if project.window == USUAL else 1}}}"  # short trials hold few
    predictions = ", predictions: 1" if project.window.steps == FEWEST_STEPS else ""
    if project.is_quick:
        return [
            "# A try-out that shows the way: too few epochs and seeds for a figure that means anything.",
            windows,
            f"pretrain: {{epochs: 2, batch: 64, learning_rate: 1.0e-3{predictions}}}",
            "finetune: {epochs: 5, learning_rates: [1.0e-3], weight_decays: [1.0e-4]}",
            "controls: [linear]",
            "seeds: [0]",
        ]
    return [
        windows,
        f"pretrain: {{epochs: 40, batch: 128, learning_rate: 3.0e-4{predictions}}}",
        "controls: [linear, random, permuted]",
        "seeds: [0, 1, 2]",
    ]


def _flow(value: Any, indent: int = 0) -> str:
    """A value as YAML on one line, or on several that are indented two more than their key."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=WIDTH - indent - 14, allow_unicode=True, sort_keys=False
    )
    lines = text.removesuffix("...\n").strip().splitlines()
    return ("\n" + " " * (indent + 2)).join(line.strip() for line in lines)


def _quoted(text: str) -> str:
    """A regular expression in single quotes, where nothing but a quote needs care."""
    return "'" + text.replace("'", "''") + "'"


def relative_root(root: Path, folder: Path) -> str:
    """The recordings' folder as seen from the project's; absolute where neither is near the other."""
    here, there = folder.absolute(), root.absolute()
    if here == there or here in there.parents:
        return there.relative_to(here).as_posix()
    if here.parent == there or here.parent in there.parents:
        return (Path("..") / there.relative_to(here.parent)).as_posix()
    return there.as_posix()
