"""Status line: what is running, is it recorded, is everything well. One glance, one line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PyQt6.QtCore import QPoint
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QHBoxLayout, QToolTip, QWidget

from bci_m2s.lsl.description import ModelDescription, SessionDescription
from bci_m2s.panel.client.answers import clock
from bci_m2s.panel.client.facts import SILENT_AFTER_S, mapping, mappings, number, plain_text
from bci_m2s.panel.look.text import ElidedLabel, shape, tip
from bci_m2s.panel.look.theme import Theme, font
from bci_m2s.panel.look.view import View

ITEMS = ("session", "model", "simulated", "access", "recording", "disk", "clock", "lost", "state")
MAY_SHRINK = {"session": 130, "model": 90, "access": 90, "recording": 175, "state": 120}  # px
LITTLE_TIME_S = 600.0  # left on the disk
LITTLE_BYTES = 1 << 30
WORD = {"ok": "ok", "warn": "check", "bad": "problem"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What an item shows. state : "", "muted", "accent", "ok", "warn" or "bad"; details : when clicked."""

    text: str
    state: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Why a session's own words do not count for all, see ``SessionClient``; "" where there is no doubt.

    stranger : why it is not of this user; twins : which two outlets claim the same source id
    """

    stranger: str = ""
    twins: str = ""


NOBODY = {"session": Shown("no session", "muted", "looking for a session on the network")}
VIEW_ONLY = Shown("○ view only", "muted", "commands work only on the session's own machine")


class StatusLine(View):
    """The top line. A click on an item shows its details."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self.items: dict[str, _Item] = {}
        self._row = row = QHBoxLayout(self)
        row.setContentsMargins(10, 5, 10, 5)
        row.setSpacing(18)
        for name in ITEMS:
            item = _Item(MAY_SHRINK.get(name))
            item.setFont(font(bold=name in ("session", "recording", "state")))
            self.items[name] = item
            row.addWidget(item)
            if name == "access":
                row.addStretch(1)
        self._show(NOBODY)

    def put_first(self, widget: QWidget) -> None:
        """Have something at the left end of the line."""
        self._row.insertWidget(0, widget)

    def show_status(
        self,
        status: Mapping[str, Any],
        session: SessionDescription | None,
        now_s: float,
        received_s: float,
        view_only: bool = False,
        doubts: Doubts | None = None,
    ) -> None:
        """Show a status. Called four times per second, so that a recording failure blinks.

        status : the newest one, see docs/output.md; {} before
        session : its description, None without one
        now_s, received_s : the local clock now, and when the status came, s
        view_only : the session takes no commands from here
        doubts : why what it says is not shown as good
        """
        silent_s = now_s - received_s if status else 0.0
        shown = status_items(status, session, silent_s, blink=now_s % 1.0 >= 0.5)
        if view_only and session is not None:
            shown["access"] = VIEW_ONLY
        self._show(doubted(shown, doubts or Doubts()))

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._show({name: item.shown for name, item in self.items.items()})

    def _show(self, shown: Mapping[str, Shown]) -> None:
        for name, item in self.items.items():
            item.shown = shown.get(name, Shown(""))
            item.show_text(item.shown.text, self._colour(item.shown.state))
            item.setVisible(bool(item.shown.text))
            item.setToolTip(tip(item.shown.details or item.shown.text))

    def _colour(self, state: str) -> str:
        own = {"": self.theme.text, "accent": self.theme.accent}
        return own.get(state) or self.theme.state(state)


class _Item(ElidedLabel):
    """One text of the line; a click shows its details."""

    def __init__(self, least_px: int | None) -> None:
        super().__init__("", least_px)
        self.shown = Shown("")

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Show the details at once, under the item."""
        place = self.mapToGlobal(QPoint(0, self.height()))
        QToolTip.showText(place, tip(self.shown.details or self.shown.text), self, self.rect(), 10_000)
        super().mousePressEvent(event)


def status_items(
    status: Mapping[str, Any],
    session: SessionDescription | None,
    silent_s: float = 0.0,
    blink: bool = False,
) -> dict[str, Shown]:
    """What each item shows; any key of a status may be missing or of a wrong kind.

    silent_s : since the newest status came; blink : in the second half of a second
    """
    if session is None:
        return dict(NOBODY)
    items = {"session": _session(status, session), "model": _model(session.model)}
    simulated = _simulated(session)
    if simulated:
        items["simulated"] = Shown("▲ simulated", "warn", simulated)
    if not status:
        items["state"] = Shown("○ waiting for the first status report", "muted")
        return items
    items["recording"] = _recording(status, silent_s, blink)
    items["disk"] = _disk(mapping(status.get("recording")))
    items["clock"] = _clock(status)
    items["lost"] = _lost(status)
    items["state"] = _state(status, silent_s)
    return items


def doubted(items: Mapping[str, Shown], doubts: Doubts) -> dict[str, Shown]:
    """The items of a session whose word does not count for all: nothing of it is shown as good.

    What a stranger calls a problem keeps its colour: to look is all that can be done about it.
    """
    shown, state = dict(items), items.get("state")
    if state is None:
        return shown
    if doubts.stranger:
        words = f"not a session of this user: {doubts.stranger}"
        shown["access"] = Shown("○ view only: not a session of this user", "muted", f"{words}\nview only")
        if state.state == "ok":
            shown["state"] = Shown("○ says that it is ok", "muted", words)
    if doubts.twins and state.state != "bad":  # what is worse stays
        shown["state"] = Shown(
            f"▲ {doubts.twins}", "warn", f"{doubts.twins}\n{state.details or state.text}"
        )
    return shown


def _session(status: Mapping[str, Any], session: SessionDescription) -> Shown:
    take = mapping(status.get("take"))
    folder, name = plain_text(take.get("folder")), session.participant or plain_text(take.get("session"))
    text = name or session.pipeline.file.removesuffix(".yaml") or session.outlet_name or "session"
    count = int(number(take.get("number"), 0.0))
    if count > 1:
        text += f" take {count}"
    if session.mode not in ("", "live"):
        text += f" · {session.mode}"
    known = {key: getattr(session, key) for key in ("mode", "begun_utc", "device", "bci_m2s")}
    known |= {"folder": folder}
    return Shown(text, "", "\n".join([text, *(f"{key}: {value}" for key, value in known.items() if value)]))


def _model(model: ModelDescription | None) -> Shown:
    if model is None or not model.name:
        return Shown("")
    text = f"model {model.name}"
    return Shown(text, "muted", f"{text}\nfile {model.file}\nsha256 {model.sha256[:12]}…")


def _simulated(session: SessionDescription) -> str:
    """What is simulated, in words; "" when nothing is."""
    signals = bool(session.simulated_signals)
    if session.model is not None and session.model.simulated:
        signs = "; the signals are simulated too" if signals else ""
        return f"the model was trained on simulated data: its estimates do not apply to real people{signs}"
    return "the signals are simulated" if signals else ""


def _recording(status: Mapping[str, Any], silent_s: float, blink: bool) -> Shown:
    recording = mapping(status.get("recording"))
    if not recording:
        return Shown("○ not recording", "muted", "nothing is written to the disk")
    problem = plain_text(recording.get("problem"))
    lost = int(number(recording.get("lost_samples"), 0.0))
    size = number(recording.get("bytes"), 0.0)
    elapsed_s = number(recording.get("elapsed_s"), number(status.get("elapsed_s"), 0.0))
    details = "\n".join(
        [
            f"file {plain_text(recording.get('file'))}",
            f"{int(number(recording.get('samples'), 0.0)):,} samples, {bytes_text(size)}",
            f"{bytes_text(number(recording.get('waiting_bytes'), 0.0))} wait for the disk",
        ]
    )
    if problem or lost:
        what = problem or f"{lost:,} samples were not written"
        return Shown(f"■ REC FAILED {what}", "" if blink else "bad", f"{what}\n{details}")
    figures = f"{clock(elapsed_s, with_hours=True)}  {bytes_text(size)}"
    if plain_text(status.get("ended")):
        return Shown(f"○ recorded {figures}", "muted", details)
    if silent_s > SILENT_AFTER_S:
        return Shown(f"▲ REC? last seen {figures}", "warn", f"not known whether it goes on\n{details}")
    return Shown(f"● REC {figures}", "accent", details)


def _disk(recording: Mapping[str, Any]) -> Shown:
    free = number(recording.get("free_bytes"), -1.0)
    left_s = number(recording.get("seconds_left"), math.inf)
    if free < 0:
        return Shown("")
    low = free < LITTLE_BYTES or left_s < LITTLE_TIME_S
    left = f", {long_text(left_s)} left" if math.isfinite(left_s) else ""
    text = f"disk {bytes_text(free)}{left}"
    return Shown(f"▲ {text}" if low else text, "warn" if low else "", f"{text} at the present rate")


def _clock(status: Mapping[str, Any]) -> Shown:
    offsets = {
        plain_text(stream.get("name")): number(stream["clock_offset_s"], math.nan)
        for stream in mappings(status.get("streams"))
        if "clock_offset_s" in stream
    }
    if not offsets:
        return Shown("")
    details = "\n".join(
        f"{name}: {f'{1e3 * offset:+.2f} ms' if math.isfinite(offset) else 'not compared yet'}"
        for name, offset in list(offsets.items())[:16]
    )
    if not all(map(math.isfinite, offsets.values())):
        return Shown("▲ clock unknown", "warn", details)
    worst = max(map(abs, offsets.values()))
    far = f"±{worst:.0f} s" if worst >= 1 else f"±{1e3 * worst:.1f} ms"
    return Shown(f"clock ok {far}", "", f"the senders' clocks against this machine's:\n{details}")


def _lost(status: Mapping[str, Any]) -> Shown:
    streams = mappings(status.get("streams"))
    each = {plain_text(stream.get("name")): int(number(stream.get("lost"), 0.0)) for stream in streams}
    lost = sum(each.values())
    details = "\n".join(f"{name}: {count:,} samples lost" for name, count in list(each.items())[:16])
    return Shown(f"▲ lost {lost:,}" if lost else "lost 0", "warn" if lost else "", details)


def _state(status: Mapping[str, Any], silent_s: float) -> Shown:
    ended = plain_text(status.get("ended"))
    if ended:
        return Shown(f"○ ended: {ended}", "muted")
    if silent_s > SILENT_AFTER_S:
        return Shown(f"■ engine silent for {silent_s:.0f} s", "bad", "Is it still running?")
    state = plain_text(status.get("state"))
    reasons = _reasons(status)
    text = WORD.get(state, "unknown")
    if reasons and state != "ok":
        text += f": {reasons[0]}"
    return Shown(f"{shape(state)} {text}", state if state in WORD else "muted", "\n".join(reasons) or text)


def _reasons(status: Mapping[str, Any]) -> list[str]:
    """What is wrong, the worst first."""
    problems = status.get("problems")
    reasons = [plain_text(problem) for problem in (problems if isinstance(problems, list) else [])[:16]]
    recording = plain_text(mapping(status.get("recording")).get("problem"))
    reasons += [recording] if recording else []
    for stream in mappings(status.get("streams"))[:16]:
        name, problem = plain_text(stream.get("name")), plain_text(stream.get("problem"))
        bad, lost = len(mapping(stream.get("bad_channels"))), int(number(stream.get("lost"), 0.0))
        if stream.get("state") == "bad":
            reasons.insert(0, f"{name} {problem or 'is silent'}")
        elif bad:
            reasons.append(f"{name}: {bad} bad channel{'s' if bad > 1 else ''}")
        elif lost:
            reasons.append(f"{name}: {lost:,} samples lost")
        drift = mapping(stream.get("drift"))
        if drift.get("is_beyond") is True:
            reasons.append(f"{name}: drift from the training: {plain_text(drift.get('drivers'))}")
    return [reason for reason in reasons if reason]


def bytes_text(size: float) -> str:
    """1.2 MB, 41 GB: three digits at most."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def long_text(seconds: float) -> str:
    """How long something lasts: 8 min, 5 h, 3 days."""
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
