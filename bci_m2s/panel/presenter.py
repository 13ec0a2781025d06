"""From the client to the views: frames thirty times a second, numbers four times, maps once.

Everything that needs a decision (which view draws a stream, which estimates belong together) is here; the
views only draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from bci_m2s.panel.answer.answer import AnswerView
from bci_m2s.panel.answer.plane import PlaneView, mean_point
from bci_m2s.panel.answer.sparkline import Sparkline
from bci_m2s.panel.choices import heads_in_plane, is_eye_tracker, line_name, mapped_stream
from bci_m2s.panel.client.answers import STALE_S, Answer, modality_name
from bci_m2s.panel.client.client import EvidenceSample, SessionClient
from bci_m2s.panel.client.facts import SessionFacts, mapping, number, plain_text
from bci_m2s.panel.controls.status_line import StatusLine
from bci_m2s.panel.controls.stream_table import StreamTable
from bci_m2s.panel.head.band_power import BandPower
from bci_m2s.panel.head.feature_grid import FeatureGrid, grid_of
from bci_m2s.panel.head.topography import TopographyView
from bci_m2s.panel.layout import Arrangement
from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.timeline.bins import LONGEST_S
from bci_m2s.panel.timeline.timeline import TimelineView
from bci_m2s.panel.traces.channel_rows import ChannelRows
from bci_m2s.panel.traces.eye_rows import EyeRows
from bci_m2s.panel.traces.sweep_view import SweepView
from bci_m2s.sources.lsl import local_clock
from bci_m2s.types import Status

SAME_WINDOW_S = 1e-3  # the heads of a window have one stamp


class Themed(Protocol):
    """A view that can be drawn in other colours."""

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""


@dataclass(slots=True)
class Views:
    """Every view that shows a session; the traces come and go with its streams."""

    status: StatusLine
    answer: AnswerView
    plane: PlaneView
    head_map: TopographyView
    timeline: TimelineView
    table: StreamTable
    latency: Sparkline


class Presenter:
    """Feeds the views; its methods are called by the window's timers.

    Attributes
    ----------
    traces : the view of each modality's stream
    trace_settings : what a new trace view begins with
    numbers_shown : how often ``numbers`` was called
    """

    def __init__(self, client: SessionClient, views: Views, place: Arrangement, theme: Theme) -> None:
        self._client, self._views, self._place, self._theme = client, views, place, theme
        self.traces: dict[str, SweepView] = {}
        self.trace_settings: dict[str, Any] = {}
        self.numbers_shown = 0
        self._facts: SessionFacts | None = None
        self._powers: BandPower | None = None
        self._mapped = ""  # modality of the head map
        self._grid: FeatureGrid | None = None
        self._frozen, self._frozen_s = False, math.nan
        self._begun_s = math.nan
        self._markers: set[tuple[float, str]] = set()
        self._plane_heads: list[str] = []
        self._plane_line, self._answered_s = "", dict[str, float]()  # shown there; newest of each line
        self._history: Mapping[str, Any] = {}
        self._points: dict[str, tuple[float, float, float]] = {}  # newest of each head: stamp, place

    # ---- thirty times a second ----

    def frame(self) -> None:
        """Hand over the newest samples and let the sweeps paint them."""
        now_s = local_clock()
        for modality, view in self.traces.items():
            reader = self._client.readers.get(modality)
            taken = reader.take() if reader is not None else None
            if taken is not None:
                view.push(*taken)
                if modality == self._mapped and self._powers is not None:
                    self._powers.push(taken[1])
            view.frame(now_s)

    # ---- four times a second ----

    def numbers(self, view_only: bool = False) -> None:
        """Estimates, status and everything that is read as a number."""
        self.numbers_shown += 1
        facts, now_s = self._client.facts, local_clock()
        if facts is not None and facts is not self._facts:
            self._begin(facts)
        status = self._client.status
        said = facts.said if facts is not None else {}
        self._views.status.show_status(status, said, now_s, view_only)
        if self._facts is None:
            return
        self._take_status(status, now_s)
        answers = self._client.take_answers()
        for answer in answers:
            self._take(answer)
        if self._frozen:
            self._views.answer.freeze(now_s - self._frozen_s)
        else:
            self._tick(now_s)

    def _tick(self, now_s: float) -> None:
        views = self._views
        if self._client.ended:  # nothing moves any more
            views.answer.end(f"the session has ended: {self._client.ended}")
            return
        for view in (views.answer, views.plane, views.timeline, views.latency):
            view.tick(now_s)

    def _begin(self, facts: SessionFacts) -> None:
        """Another session: everything of the last one is forgotten."""
        self._facts, self._begun_s, self._history = facts, math.nan, {}
        self._markers.clear()
        views = self._views
        views.answer.set_heads(facts.heads)
        views.answer.set_places(facts.lines)
        views.timeline.set_heads(
            {
                line_name(facts, line, head): names
                for line in facts.lines
                for head, names in facts.heads.items()
            }
        )
        self._plane_heads = heads_in_plane(facts)
        self._points.clear()
        only = len(self._plane_heads) == 1  # places of several heads' classes would stand for nothing
        views.plane.set_coordinates(dict(facts.coordinates[self._plane_heads[0]]) if only else {})
        self._plane_line, self._answered_s = "no line", {}
        for line in facts.lines[:1]:
            self._show_line_in_plane(line)
        self._place.show_plane(bool(self._plane_heads))
        self._begin_traces(facts)
        self._begin_map(facts)

    def _begin_traces(self, facts: SessionFacts) -> None:
        self.trace_settings = self.trace_settings_now()  # what was chosen by hand stays
        for view in self.traces.values():
            view.hide()  # else the layout may yet show it, as a window of its own
            view.setParent(None)
            view.deleteLater()
        self.traces = {}
        for modality, stream in facts.streams.items():
            view = SweepView(self._theme, EyeRows if is_eye_tracker(stream) else ChannelRows)
            view.set_stream(stream.title, stream.labels, stream.units, stream.rate_hz)
            view.restore(self.trace_settings)
            view.set_frozen(self._frozen)
            self.traces[modality] = view
            self._place.traces.addWidget(view)
        self._join_spans()
        self._place.fit()

    def _join_spans(self) -> None:
        """The eye's sweep is as long as that of the traces, so that their cursors run together."""
        eyes = [view for view in self.traces.values() if view.controls is None]
        for view in self.traces.values():
            for eye in eyes if view.controls is not None else ():
                eye.set_span(view.canvas.span_s)
                view.canvas.span_changed.connect(eye.set_span)

    def _begin_map(self, facts: SessionFacts) -> None:
        self._powers, self._mapped, self._grid = None, "", None
        stream = mapped_stream(facts)
        if stream is None:
            self._views.head_map.set_montage(())
            return
        self._mapped = stream.modality
        self._powers = BandPower(stream.labels, stream.units, stream.rate_hz)
        self._grid = grid_of(facts.features.get(stream.modality, ()))
        self._views.head_map.set_bands(self._powers.bands)
        self._views.head_map.set_montage(stream.labels)

    def _take(self, answer: Answer) -> None:
        assert self._facts is not None
        views, facts = self._views, self._facts
        views.answer.show_answer(answer.head, answer)
        line = "" if facts.combined else answer.modality
        is_ok = answer.status == Status.OK
        views.timeline.add(
            line_name(facts, line, answer.head),
            answer.stamp_s,
            answer.probabilities if is_ok else None,
            answer.reason,
        )
        if is_ok:
            views.latency.add(answer.stamp_s, answer.age_ms)
        if answer.head in self._plane_heads and self._is_planes(line, is_ok, answer.stamp_s):
            self._take_point(answer)

    def _is_planes(self, line: str, is_ok: bool, stamp_s: float) -> bool:
        """Whether the plane shows this line: the first one that answers, another while that does not."""
        assert self._facts is not None
        first = self._facts.lines[:1]  # empty where a session says nonsense
        if is_ok:
            self._answered_s[line] = stamp_s
            silent_s = stamp_s - self._answered_s.get(self._plane_line, -math.inf)
            if line in first or silent_s > STALE_S:
                self._show_line_in_plane(line)
        return line == self._plane_line

    def _show_line_in_plane(self, line: str) -> None:
        assert self._facts is not None
        if line != self._plane_line:
            self._plane_line = line
            self._points.clear()
            self._views.plane.set_source(
                f"from {modality_name(line)}" if len(self._facts.lines) > 1 else ""
            )

    def _take_point(self, answer: Answer) -> None:
        """Where an estimate lies; with several heads (valence, arousal) the sum of what they say."""
        assert self._facts is not None
        places = self._facts.coordinates[answer.head]
        classes = self._facts.heads[answer.head]
        point = mean_point(answer.probabilities, [places[name] for name in classes])
        self._points[answer.head] = (answer.stamp_s, *point)
        newest = [self._points.get(head, (math.nan,) * 3) for head in self._plane_heads]
        if all(abs(stamp_s - answer.stamp_s) < SAME_WINDOW_S for stamp_s, _, _ in newest):
            self._views.plane.add(
                answer.stamp_s, sum(one[1] for one in newest), sum(one[2] for one in newest)
            )

    def _take_status(self, status: Mapping[str, Any], now_s: float) -> None:
        facts = self._facts
        assert facts is not None
        if status and math.isnan(self._begun_s):
            elapsed_s = number(status.get("elapsed_s"), 0.0)
            self._begun_s = now_s - min(max(elapsed_s, 0.0), LONGEST_S)
            self._views.timeline.set_session(self._begun_s)
            self._load_history()
        sizes = {modality: len(stream.labels) for modality, stream in facts.streams.items()}
        self._views.table.show_status(status, sizes)
        streams = status.get("streams")
        for said in streams if isinstance(streams, list) else []:
            modality = plain_text(mapping(said).get("modality"))
            bad = mapping(mapping(said).get("bad_channels"))
            states = {plain_text(label): plain_text(state) for label, state in list(bad.items())[:512]}
            if modality in self.traces:
                self.traces[modality].set_states(states)
            if modality == self._mapped:
                self._views.head_map.set_bad(list(states))
        self._take_markers(status)

    def _take_markers(self, status: Mapping[str, Any]) -> None:
        said = status.get("markers")
        for marker in said if isinstance(said, list) else []:
            if not isinstance(marker, list) or len(marker) < 2:
                continue
            stamp_s, text = number(marker[0], math.nan), plain_text(marker[1])
            if math.isnan(stamp_s) or (stamp_s, text) in self._markers:
                continue
            if len(self._markers) > 10_000:
                self._markers.clear()
            self._markers.add((stamp_s, text))
            self._views.timeline.add_marker(stamp_s, text)
            for view in self.traces.values():
                view.add_marker(stamp_s, text)

    # ---- once a second ----

    def maps(self) -> None:
        """The head map: band power, and what the newest estimate rests on."""
        evidence = self._client.take_evidence()
        if self._frozen or not self._place.has_map or self._facts is None:
            return
        if self._powers is not None:
            self._views.head_map.show_power(self._powers.powers())
        ours = [one for one in evidence if one.modality == self._mapped and one.head == 0]
        if ours and self._grid:
            self._show_evidence(ours[-1], self._grid)

    def _show_evidence(self, sample: EvidenceSample, grid: FeatureGrid) -> None:
        assert self._facts is not None
        head = next(iter(self._facts.heads), "")
        classes = self._facts.heads.get(head, ())
        stream = self._facts.streams[self._mapped]
        n_features = len(self._facts.features.get(self._mapped, ()))
        if not 0 <= sample.class_index < len(classes) or len(sample.values) != n_features:
            return
        values = grid.pick(sample.values)  # (channels, bands), in the model's order of channels
        place = {channel.casefold(): row for row, channel in enumerate(grid.channels)}
        rows = [place.get(label.casefold(), -1) for label in stream.labels]
        spread = values[rows].copy()
        spread[[row < 0 for row in rows]] = math.nan
        self._views.head_map.show_evidence(spread, classes[sample.class_index])

    # ---- what the operator chooses ----

    def set_frozen(self, frozen: bool) -> None:
        """Freeze the view, or let it go on; nothing is lost of the timeline."""
        self._frozen, self._frozen_s = frozen, local_clock()
        for view in self.traces.values():
            view.set_frozen(frozen)

    def set_theme(self, theme: Theme) -> None:
        """Redraw everything in other colours."""
        self._theme = theme
        themed: list[Themed] = [getattr(self._views, view.name) for view in fields(self._views)]
        for view in (*themed, *self.traces.values()):
            view.set_theme(theme)

    def trace_settings_now(self) -> dict[str, Any]:
        """Settings of the first trace view, to be remembered; those of last time where there is none."""
        chosen = (settings for view in self.traces.values() if (settings := view.settings()))
        return next(chosen, self.trace_settings)

    def load_history(self, history: Mapping[str, Any]) -> None:
        """What the engine remembers of the session, see ``history``, onto the timeline."""
        self._history = history
        if not math.isnan(self._begun_s):  # else it waits for the first status
            self._load_history()

    def _load_history(self) -> None:
        history, self._history = self._history, {}
        rows = {}
        for line, heads in mapping(history.get("lines")).items():
            for head, row in mapping(heads).items():
                if self._facts is not None:
                    rows[line_name(self._facts, plain_text(line), plain_text(head))] = row
        if history:
            self._views.timeline.load_history({**history, "heads": rows})
