"""From the client to the views: frames thirty times per second, numbers four times, maps once.

Everything that needs a decision (which view draws a stream, which estimates belong together) is here; the
views only draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bci_m2s.lsl.network import local_clock
from bci_m2s.panel.answer.plane_feed import PlaneFeed
from bci_m2s.panel.client.answers import Answer
from bci_m2s.panel.client.client import SessionClient
from bci_m2s.panel.client.facts import (
    SessionFacts,
    is_eye_tracker,
    line_name,
    mapped_stream,
    mapping,
    mappings,
    marker_pairs,
    number,
    plain_text,
)
from bci_m2s.panel.controls.status_line import Doubts
from bci_m2s.panel.head.head_feed import HeadFeed
from bci_m2s.panel.layout import Arrangement, Views
from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.timeline.bins import LONGEST_S
from bci_m2s.panel.traces.channel_rows import ChannelRows
from bci_m2s.panel.traces.eye_rows import EyeRows
from bci_m2s.panel.traces.sweep_view import SweepView
from bci_m2s.recording.trials import TRIAL_BEGIN, TRIAL_END
from bci_m2s.types import Status


class Presenter:
    """Feeds the views; its methods are called by the window's timers.

    traces : the view of each modality's stream
    trace_settings : what a new trace view begins with, by montage
    numbers_shown : how often ``numbers`` was called
    """

    def __init__(self, client: SessionClient, views: Views, place: Arrangement, theme: Theme) -> None:
        self._client, self._views, self._place, self._theme = client, views, place, theme
        self.traces: dict[str, SweepView] = {}
        self.trace_settings: dict[str, dict[str, Any]] = {}
        self.numbers_shown = 0
        self._facts: SessionFacts | None = None
        self._frozen, self._frozen_s = False, math.nan
        self._begun_s = math.nan
        self._markers: set[tuple[float, str]] = set()
        self._plane: PlaneFeed
        self._head: HeadFeed | None = None
        self._history: Mapping[str, Any] = {}
        self._is_fast = False

    # ---- thirty times per second ----

    def frame(self) -> None:
        """Hand over the newest samples and let the sweeps paint them."""
        now_s = local_clock()
        for modality, view in self.traces.items():
            reader = self._client.readers.get(modality)
            taken = reader.take() if reader is not None else None
            if taken is not None:
                view.push(*taken)
                if self._head is not None and modality == self._head.modality:
                    self._head.push(taken[1])
            view.canvas.set_ended(bool(self._client.ended))
            view.frame(now_s)

    # ---- four times per second ----

    def numbers(self, view_only: bool = False) -> None:
        """Estimates, status and everything that is read as a number."""
        self.numbers_shown += 1
        facts, now_s = self._client.facts, local_clock()
        if facts is not None and facts is not self._facts:
            self._begin(facts)
        status = self._client.status
        received_s = self._client.status_received_s
        doubts = Doubts(self._client.stranger, self._client.twins)
        self._views.status.show_status(status, facts, now_s, received_s, view_only, doubts)
        if self._facts is None:
            return
        self._take_status(status, received_s)
        for answer in self._client.take_answers():
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
        views.answer.set_heads(facts.heads, facts.lines)
        views.timeline.set_heads(
            {
                line_name(facts, line, head): names
                for line in facts.lines
                for head, names in facts.heads.items()
            }
        )
        self._plane = PlaneFeed(views.plane, facts)
        self._place.show_plane(bool(self._plane.heads))
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
            view = SweepView(self._theme, EyeRows if is_eye_tracker(stream) else ChannelRows, stream)
            view.rows.restore(self.trace_settings.get(view.rows.montage, {}))
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
                eye.canvas.set_span(view.canvas.span_s)
                view.canvas.span_changed.connect(eye.canvas.set_span)

    def _begin_map(self, facts: SessionFacts) -> None:
        stream = mapped_stream(facts)
        self._head = None if stream is None else HeadFeed(self._views.head_map, facts, stream)
        if stream is None:
            self._views.head_map.set_montage(())

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
        self._plane.take(line, answer)

    def _take_status(self, status: Mapping[str, Any], received_s: float) -> None:
        facts = self._facts
        assert facts is not None
        is_first = bool(status) and math.isnan(self._begun_s)
        if is_first:
            # where time passes faster for a simulated person, what was before has no place on this clock
            speed = max(1.0, number(mapping(status.get("protocol")).get("speed"), 1.0))
            self._is_fast = speed > 1.0
            elapsed_s = 0.0 if self._is_fast else number(status.get("elapsed_s"), 0.0)
            # not from now: making the views may take seconds, and what was marked then would be too early
            self._begun_s = received_s - min(max(elapsed_s, 0.0), LONGEST_S)
            self._views.timeline.set_session(self._begun_s, speed)
            self._load_history()
        # others are not judged, so nobody knows whether they are good
        sizes = {modality: len(stream.used or stream.labels) for modality, stream in facts.streams.items()}
        self._views.table.show_status(status, sizes, is_trusted=not self._client.stranger)
        for stream in mappings(status.get("streams")):
            modality = plain_text(stream.get("modality"))
            bad = mapping(stream.get("bad_channels"))
            states = {plain_text(label): plain_text(state) for label, state in list(bad.items())[:512]}
            if modality in self.traces:
                self.traces[modality].rows.set_states(states)
            if self._head is not None and modality == self._head.modality:
                self._views.head_map.set_bad(list(states))
        self._take_markers(status, received_s, is_first)

    def _take_markers(self, status: Mapping[str, Any], received_s: float, is_first: bool) -> None:
        """Onto traces and timeline.

        The timeline's estimates are of this panel's clock: where time passes faster, a marker is there when
        it was reported, and what was before the first report is not.
        """
        for stamp_s, text in marker_pairs(status.get("markers")):
            if (stamp_s, text) in self._markers or text.startswith((TRIAL_BEGIN, TRIAL_END)):
                continue  # those of a guided session say more than a line has room for
            if len(self._markers) > 10_000:
                self._markers.clear()
            self._markers.add((stamp_s, text))
            if not (self._is_fast and is_first):
                self._views.timeline.add_marker(received_s if self._is_fast else stamp_s, text)
            for view in self.traces.values():
                view.canvas.add_marker(stamp_s, text)

    # ---- once per second ----

    def maps(self) -> None:
        """The head map: band power, and what the newest estimate rests on."""
        evidence = self._client.take_evidence()
        if self._head is not None and self._place.has_map and not self._frozen:
            self._head.show(evidence)

    # ---- what the operator chooses ----

    def set_frozen(self, frozen: bool) -> None:
        """Freeze the view, or let it go on; nothing is lost of the timeline."""
        self._frozen, self._frozen_s = frozen, local_clock()
        for view in self.traces.values():
            view.set_frozen(frozen)

    def set_theme(self, theme: Theme) -> None:
        """Redraw everything in other colours."""
        self._theme = theme
        views = [getattr(self._views, view.name) for view in fields(self._views)]
        for view in (*views, *self.traces.values()):
            view.set_theme(theme)

    def trace_settings_now(self) -> dict[str, dict[str, Any]]:
        """Settings of the trace views by montage, to be remembered, and those of other montages."""
        rows = [view.rows for view in self.traces.values()]
        return self.trace_settings | {each.montage: chosen for each in rows if (chosen := each.settings())}

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
        if history and not self._is_fast:
            self._views.timeline.load_history({**history, "lines": rows})
