"""The participants of a pipeline: the same file for each, with their own streams and names."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from bci_m2s.errors import ConfigurationError
from bci_m2s.files.explain import refused
from bci_m2s.files.places import with_line
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.session.outlet_name import stream_names
from bci_m2s.session.setup.build import Plan, disagreement
from bci_m2s.session.setup.config import PipelineSettings
from bci_m2s.sources import StreamSettings
from bci_m2s.sources.streams import LslStream

PLACE = "{id}"  # where the participant's id goes, in any text of these parts of a pipeline
OF_ALL = ("participants", "remote")  # said of the whole session
FILLED = ("streams", "markers", "outlet")


def plans_of(plan: Plan) -> dict[str, Plan]:
    """The plan of each participant, by id; {} for a pipeline of one person.

    Each is that of an ordinary pipeline: with the id filled in, and with what is said of the participant.

    Raises
    ------
    ConfigurationError
        What is said of a participant is no setting of a stream, or two would read the same stream, or
        send streams of the same name.
    """
    values, lines = read_yaml(plan.path)
    plans: dict[str, Plan] = {}
    for name, own in plan.settings.participants.items():
        mine = _filled(values, name, own.streams)
        try:
            settings = PipelineSettings.model_validate(mine)
        except ValidationError as problem:
            raise refused(plan.path, lines, problem, PipelineSettings) from None
        settings = settings.model_copy(update={"model": plan.settings.model})
        if words := disagreement(settings, plan.contract):
            raise ConfigurationError(with_line(plan.path, lines, f"participants.{name}.{words}"))
        for other, its in plans.items():
            for modality in sorted(settings.streams.keys() & its.settings.streams.keys()):
                if _is_same(settings.streams[modality], its.settings.streams[modality]):
                    raise ConfigurationError(
                        f"{plan.path}: participants: {other!r} and {name!r} have the same {modality!r} "
                        f"stream, expected {PLACE} in its name, or a stream for each of them"
                    )
        plans[name] = replace(plan, settings=settings)
    if words := _namesakes(plans):
        raise ConfigurationError(with_line(plan.path, lines, words))
    return plans


def _namesakes(plans: Mapping[str, Plan]) -> str:
    """Two participants who would send streams of the same name, "" for none: ids p01 and p01-status."""
    owners: dict[str, str] = {}
    for name, plan in plans.items():
        settings, heads = plan.settings, plan.contract.class_names
        if not settings.outlet.enabled:
            continue
        for stream in sorted(stream_names(settings.outlet.name, heads, settings.streams)):
            if (owner := owners.setdefault(stream, name)) != name:
                return (
                    f"participants.{name}: got {name!r}, whose stream {stream!r} would have the name of "
                    f"one of {owner!r}; expected ids with which all names of streams differ"
                )
    return ""


def _is_same(stream: StreamSettings, other: StreamSettings) -> bool:
    """Whether two settings find the same stream, whatever else they say of it."""
    if isinstance(stream, LslStream) and isinstance(other, LslStream):
        return stream.wanted() == other.wanted()
    return stream == other


def _filled(values: Mapping[str, Any], name: str, own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A pipeline's values for one participant. own : keys of its streams that differ, by modality"""
    mine: dict[str, Any] = copy.deepcopy({key: value for key, value in values.items() if key not in OF_ALL})
    for modality, keys in own.items():
        before = {} if "source" in keys else mine["streams"].get(modality, {})
        mine["streams"][modality] = {**before, **keys}
    outlet = mine.setdefault("outlet", {})
    usual = outlet.get("name", PipelineSettings.model_fields["outlet"].default.name)
    outlet["name"] = usual if PLACE in usual else f"{usual}-{PLACE}"
    return {key: _in_place(value, name) if key in FILLED else value for key, value in mine.items()}


def _in_place(value: Any, name: str) -> Any:
    """The same with the id in every text that has a place for it."""
    if isinstance(value, str):
        return value.replace(PLACE, name)
    if isinstance(value, list):
        return [_in_place(one, name) for one in value]
    if isinstance(value, dict):
        return {key: _in_place(one, name) for key, one in value.items()}
    return value
