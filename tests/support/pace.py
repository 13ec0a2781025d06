"""Sources in step with the pipeline that uses them, and the simulated time that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci_m2s.pipeline.pipeline import Pipeline

BEGIN_S = 1000.0  # where the stamps of ``small_sessions.eeg`` and ``eye`` begin


class Pace:
    """Lets one source at a time deliver a chunk, in the order of their signals, and only when everything
    before it was used: on no machine the engine falls behind, or one stream runs ahead of another.

    sources : ``ScriptedSource``, or around one that is its ``scripted``, by modality; begin_s : of the
    simulated time; pipeline : that uses the samples
    """

    def __init__(
        self, sources: Mapping[str, Any], begin_s: float = BEGIN_S, pipeline: Pipeline | None = None
    ) -> None:
        self.pipeline, self._begin_s = pipeline, begin_s
        self._sources = {name: getattr(source, "scripted", source) for name, source in sources.items()}
        for source in self._sources.values():
            source.pace = self

    def clock(self) -> float:
        """Simulated time: the beginning, and the signal delivered so far."""
        return self._begin_s + max(_delivered_s(source) for source in self._sources.values())

    def allows(self, source: Any) -> bool:
        """Whether it is this source's turn, and the sender's clock is known, as it is in a long session."""
        waiting = [one for one in self._sources.values() if not one.finished]
        is_next = source is min(waiting, key=_delivered_s, default=source)
        return is_next and source.is_asked and all(map(self._is_used, self._sources))

    def _is_used(self, name: str) -> bool:
        assert self.pipeline is not None
        return self.pipeline.state(name).samples >= int(self._sources[name].delivered)


def _delivered_s(source: Any) -> float:
    return float(source.delivered / source.info.rate_hz)
