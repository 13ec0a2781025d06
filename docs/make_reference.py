"""Write docs/reference.md from the settings classes: python docs/make_reference.py."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import math
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from bci_m2s.features import covariance, de, distributed, ecg, eye, physiology
from bci_m2s.model.contract import Contract
from bci_m2s.networks import NETWORKS
from bci_m2s.session.protocol.settings import ProtocolSettings
from bci_m2s.session.setup.config import PipelineSettings
from bci_m2s.signal.normalise import NORMALISERS
from bci_m2s.signal.smoothing import SMOOTHERS
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.sources import SOURCES, StreamSettings
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.settings import StudySettings

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# Every key of the YAML files

Every key of a pipeline, a model's contract, a training file, a study and a protocol, written by
`docs/make_reference.py` from the classes that check them. Unknown keys are refused, and the nearest valid
one is named. Introductions:
[pipelines](pipelines.md), [training](training.md), [features](features.md). What is listed comes with
bci_m2s; installed packages can add features, networks, normalisers, sources and more ([extend](extend.md)).
"""
UNITS = {"s": "s", "hz": "Hz", "deg": "degrees", "deg_s": "degrees/s"}
WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true, false",
    Path: "path",
    Any: "anything",
}
# Each extractor's defaults and, where it is a number, limits: name -> (default, lowest, highest).
FEATURES: dict[str, tuple[type, dict[str, Any], dict[str, tuple[float, float, float]]]] = {
    "de": (de.DifferentialEntropy, de.DEFAULTS, {}),
    "eye": (
        eye.EyeMovements,
        {"pupil_bands_hz": eye.BANDS_HZ, "loss_values": [], "blink_duration": True},
        eye.NUMBERS,
    ),
    "ecg": (ecg.Electrocardiogram, {}, ecg.NUMBERS),
    "physiology": (physiology.PeripheralPhysiology, {"notch_hz": []}, physiology.NUMBERS),
    "covariance": (covariance.Covariance, covariance.DEFAULTS, {}),
    "distributed": (distributed.Distributed, {"dataset": "", "feature": ""}, {}),
}


def meanings(settings: type) -> dict[str, str]:
    """The docstring below each field of a settings class, by the field's name."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__[:-1]):
        if cls.__module__.split(".")[0] != "bci_m2s":
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(body, ast.ClassDef)
        for line, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(line, ast.AnnAssign) and isinstance(below, ast.Expr):
                assert isinstance(line.target, ast.Name)
                found[line.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def section(documented: type, heading: str) -> dict[str, str]:
    """One section of a numpy-style docstring: what it says of each name."""
    text = inspect.cleandoc(documented.__doc__ or "")
    match = re.search(rf"^{heading}\n-+\n(.*?)(?=\n\n\S|\Z)", text, re.DOTALL | re.MULTILINE)
    entries = re.findall(r"^(\w+) : (.*(?:\n +.*)*)", match[1] if match else "", re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in entries}


def is_settings(kind: Any) -> bool:
    """Whether a type is a class of settings with fields of its own."""
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind))


def type_words(kind: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return type_words(inner[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys("`null`" if k is NoneType else type_words(k) for k in inner))
    if origin is tuple:
        if len(inner) == 2 and inner[1] is Ellipsis:
            return f"list of {type_words(inner[0])}"
        return f"{len(inner)} × {type_words(inner[0])}"
    if origin is dict:
        return "mapping"
    return "mapping" if is_settings(kind) else WORDS.get(kind, "anything")


def limits(kind: Any, metadata: list[Any]) -> str:
    """The allowed range of a type, in words; empty where there is none."""
    while get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        metadata = [*more, *metadata]
    parts = [item for entry in metadata for item in (entry, *getattr(entry, "metadata", ()))]
    found = {
        sign: getattr(part, name)
        for part in parts
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(part, name, None) is not None
    }
    text = ", ".join(
        f"{sign} {bound:g}" for sign, bound in sorted(found.items(), key=lambda item: ">≥<≤".index(item[0]))
    )
    lengths = [getattr(part, "max_length", None) for part in parts]
    if longest := next((length for length in reversed(lengths) if length), None):
        text += f"{', ' if text else ''}at most {longest}{' characters' if kind is str else ''}"
    inner = get_args(kind)
    if not text and get_origin(kind) in (tuple, Union, UnionType) and inner:
        text = limits(inner[0], [])
        text = f"each {text}" if text and get_origin(kind) is tuple else text
    return text


def shown(value: Any) -> str:
    """A default as a YAML file would say it."""
    if isinstance(value, BaseModel) or dataclasses.is_dataclass(value):
        return "see below"
    if isinstance(value, float):
        return f"`{'.inf' if math.isinf(value) else f'{value:g}'}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(shown(item).strip('`') for item in value)}]`"
    if isinstance(value, dict):
        return f"`{{{', '.join(f'{key}: {shown(item)}'.replace('`', '') for key, item in value.items())}}}`"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`" if value else "empty"


def table(rows: list[tuple[str, str, str, str, str]]) -> str:
    """Rows of key, type, default, range and meaning."""
    lines = ["| key | type | default | range, unit | meaning |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def unit(key: str) -> str:
    """The unit that a key's name ends with."""
    found = re.search(r"_(s|hz|deg_s|deg)$", key)
    return UNITS[found[1]] if found else ""


def fields(settings: type) -> Iterator[tuple[str, Any, Any, list[Any]]]:
    """Name, type, default (`...`: none) and constraints of each field."""
    hints = get_type_hints(settings, include_extras=True)
    if issubclass(settings, BaseModel):
        for name, field in settings.model_fields.items():
            default = ... if field.is_required() else field.get_default(call_default_factory=True)
            yield name, hints[name], default, list(field.metadata)
    else:
        for item in dataclasses.fields(settings):  # type: ignore[arg-type]
            made = item.default_factory
            default = item.default if made is dataclasses.MISSING else made()
            yield item.name, hints[item.name], ... if default is dataclasses.MISSING else default, []


def members(kind: Any, place: str) -> Iterator[tuple[str, type]]:
    """Classes of settings inside a type, each with its place in the file."""
    if is_settings(kind):
        yield place, kind
        return
    inner = [part for part in get_args(kind) if part is not NoneType]
    if inner[:1] == [StreamSettings]:
        inner = [SOURCES[name] for name in SOURCES]
    if get_origin(kind) is dict:
        place, inner = f"{place}.NAME", inner[1:]
    for part in inner:
        yield from members(part, place)


class Page:
    """The page as it grows; a class of settings is described once."""

    def __init__(self) -> None:
        self.parts = [HEAD]
        self.places: dict[type, str] = {}

    def add(self, settings: type, place: str, level: int = 2) -> None:
        """Describe a class of settings, and below it those that its fields hold."""
        if settings in self.places:
            return
        self.places[settings] = place
        known = meanings(settings)
        rows, below = [], []
        for key, kind, default, metadata in fields(settings):
            size = ", ".join(filter(None, (limits(kind, metadata), unit(key))))
            initial = "required" if default is ... else shown(default)
            rows.append((f"`{key}`", type_words(kind), initial, size, known[key]))
            below += list(members(kind, key if level == 2 else f"{place}.{key}"))
        title = f"`{place}`" if level > 2 else place
        source = [row for row in rows if row[0] == "`source`"]
        title += f" with `source: {source[0][1].strip('`')}`" if source else ""
        words = " ".join(
            inspect.cleandoc(settings.__doc__ or "").split("\n\nRaises")[0].split("\n\n")[0].split()
        )
        self.parts.append(f"{'#' * level} {title}\n\n{words}\n\n{table(rows)}")
        for where, member in below:
            self.add(member, where, 3)

    def add_named(self, title: str, entries: dict[str, list[tuple[str, str, str, str, str]]]) -> None:
        """Describe the entries of a registry and the parameters of each."""
        self.parts.append(f"### {title}\n")
        for name, rows in entries.items():
            self.parts.append(f"**`{name}`**" + (f"\n\n{table(rows)}" if rows else ": no parameters.\n"))


def feature_rows(name: str) -> list[tuple[str, str, str, str, str]]:
    """Parameters of an extractor."""
    extractor, defaults, numbers = FEATURES[name]
    rows = []
    for key, meaning in section(extractor, "Settings").items():
        default, low, high = numbers.get(key, (defaults.get(key, ...), None, None))
        kind = "mapping" if key in ("columns", "bands_hz") else "number" if key in numbers else ""
        kind = kind or ("text" if default is ... else type_words(type(default)).replace("anything", "list"))
        if key.startswith("degrees_per_unit"):
            kind = "number"
        size = "" if low is None else f"{low:g} to {high:g}"
        needed = meaning.endswith("; required")
        initial = "required" if needed else "none" if default is ... else shown(default)
        rows.append(
            (
                f"`{key}`",
                kind,
                initial,
                ", ".join(filter(None, (size, unit(key)))),
                meaning.removesuffix("; required"),
            )
        )
    return rows


def number_rows(made: Any) -> list[tuple[str, str, str, str, str]]:
    """Parameters of a normaliser or a smoother: the numbers of its signature."""
    known = section(made, "Parameters")
    return [
        (
            f"`{key}`",
            type_words(type(parameter.default)),
            shown(parameter.default),
            ", ".join(filter(None, ("> 0, ≤ 1e5", unit(key)))),
            known[key],
        )
        for key, parameter in inspect.signature(made).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    ]


def network_rows(name: str) -> list[tuple[str, str, str, str, str]]:
    """Parameters of a network."""
    return [
        (
            f"`{key}`",
            type_words(type(s.default)),
            shown(s.default),
            ", ".join(s.choices)
            if s.choices or isinstance(s.default, bool)
            else f"{s.low:g} to {s.high:g}",
            s.meaning,
        )
        for key, s in NETWORKS[name].settings.items()
    ]


def reference() -> str:
    """The whole page."""
    page = Page()
    page.add(PipelineSettings, "Pipeline")
    page.add(Contract, "Model contract")
    page.add_named("`feature`: names and `params`", {name: feature_rows(name) for name in FEATURES})
    page.add_named(
        "`normaliser`: names and `params`", {name: number_rows(made) for name, made in NORMALISERS.items()}
    )
    page.add_named(
        "`smoothing`: names and `params`", {name: number_rows(made) for name, made in SMOOTHERS.items()}
    )
    page.add_named("`network`: names and `params`", {name: network_rows(name) for name in NETWORKS})
    page.add(TrainingSettings, "Training file")
    page.add(SimulatorSettings, "data.simulator", 3)
    page.add(StudySettings, "Study")
    page.add(ProtocolSettings, "Protocol")
    return "\n".join(page.parts)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"{PAGE}: {len(PAGE.read_text(encoding='utf-8').splitlines())} lines")
