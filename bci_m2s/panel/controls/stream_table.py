"""Stream table: one row per stream, in words and numbers; problems are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QResizeEvent
from PyQt6.QtWidgets import QHeaderView, QTableWidgetItem

from bci_m2s.panel.client.answers import age
from bci_m2s.panel.client.facts import mapping, mappings, number, plain_text
from bci_m2s.panel.look.text import shape, tip
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_column, plain_label, plain_table
from bci_m2s.text import modality_name

COLUMNS = ("stream", "signal", "rate", "lost", "age", "quality", "baseline", "clock")
RIGHT = ("rate", "lost", "age", "clock")
QUALITY = COLUMNS.index("quality")  # takes the room that is left
# Hidden below these widths, pixels; a name cut short tells less than its signal.
SPARE = (("clock", 840), ("baseline", 740), ("stream", 700))
LEAST_ROWS, MOST_ROWS = 2, 4  # shown without scrolling
MOST_NAMED = 4  # bad channels in a cell; all of them are in the tooltip
EMPTY = "The session has not reported any streams yet."


class StreamTable(View):
    """State of each stream. Cells change in place; nothing is rebuilt for the same streams."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self._shown: list[list[tuple[str, str, str]]] = []
        self._widths: dict[int, int] = {}
        self.table, header, rows = plain_table(COLUMNS)
        self.table.setStyleSheet("QTableWidget::item { padding: 0 3px; }")
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.empty = plain_label(EMPTY, muted=True, wraps=True)
        self.setLayout(in_column(self.empty, self.table, margins=(6, 4, 6, 4)))
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        rows.setMinimumSectionSize(1)
        header.setFont(font(SMALL))
        header.setHighlightSections(False)
        header.setMinimumSectionSize(44)
        for column in range(len(COLUMNS)):
            if (item := self.table.horizontalHeaderItem(column)) is not None:
                item.setTextAlignment(_side(column))
        header.setSectionResizeMode(QUALITY, QHeaderView.ResizeMode.Stretch)
        self.table.hide()
        self._fit_height()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Columns that can be spared give way in a narrow table; quality is never one of them."""
        super().resizeEvent(event)
        for name, width in SPARE:
            self.table.setColumnHidden(COLUMNS.index(name), self.width() < width)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        for row, cells in enumerate(self._shown):
            for column, cell in enumerate(cells):
                self._colour(self.table.item(row, column), cell[1])

    def show_status(
        self, status: Mapping[str, Any], n_channels: Mapping[str, int], is_trusted: bool = True
    ) -> None:
        """Show the streams of a status.

        status : see docs/output.md; n_channels : of each modality's stream
        is_trusted : whether it comes from a session of this user; what a stranger calls good is not green
        """
        streams = mappings(status.get("streams"))
        cells = [row_cells(stream, n_channels) for stream in streams if stream]
        if plain_text(status.get("ended")):
            cells = [_ended(row) for row in cells]
        elif not is_trusted:
            cells = [
                [(text, "muted" if state == "ok" else state, details) for text, state, details in row]
                for row in cells
            ]
        if len(cells) != self.table.rowCount():
            self.table.setRowCount(len(cells))
            self._shown = [[] for _ in cells]
            self.empty.setVisible(not cells)
            self.table.setVisible(bool(cells))
            self._fit_height()
        for row, (old, new) in enumerate(zip(self._shown, cells, strict=True)):
            if old != new:
                self._fill(row, new)
        self._shown = cells
        self._fit_columns()

    def _fill(self, row: int, cells: list[tuple[str, str, str]]) -> None:
        for column, (text, state, details) in enumerate(cells):
            item = self.table.item(row, column)
            if item is None:
                item = QTableWidgetItem()
                item.setTextAlignment(_side(column))
                self.table.setItem(row, column, item)
            item.setText(text)
            item.setToolTip(tip(details or text))
            self._colour(item, state)

    def _colour(self, item: QTableWidgetItem | None, state: str) -> None:
        if item is not None:
            item.setForeground(QColor(self.theme.state(state) if state else self.theme.text))

    def _fit_columns(self) -> None:
        """Numbers get what they need, and never less than before: columns must not dance."""
        metrics = self.fontMetrics()
        room = self.table.width()
        for column in range(len(COLUMNS)):
            if column == QUALITY:
                continue
            texts = [COLUMNS[column], *(cells[column][0] for cells in self._shown)]
            needed = max(metrics.horizontalAdvance(text) for text in texts) + 20
            if column < 2:  # names may be long
                needed = min(needed, max(room // 5, 90))
                self.table.setColumnWidth(column, needed)
            elif needed > self._widths.get(column, 0):
                self._widths[column] = needed
                self.table.setColumnWidth(column, needed)

    def _fit_height(self) -> None:
        line = self.fontMetrics().height() + 6
        rows = min(max(self.table.rowCount(), LEAST_ROWS), MOST_ROWS)
        self.setFixedHeight((rows + 1) * line + 16)


def _side(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if COLUMNS[column] in RIGHT else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def row_cells(stream: Mapping[str, Any], n_channels: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """Text, state and tooltip of each cell of ``COLUMNS``, for a stream of a status.

    A state is "", "muted", "ok", "warn" or "bad". Any key may be missing or of a wrong kind.
    """
    modality = plain_text(stream.get("modality"))
    name = plain_text(stream.get("name")) or "unnamed"
    quality = _quality(stream, n_channels.get(modality, 0))
    return [
        (name, "", name),
        (modality_name(modality), "", name),
        _rate(stream),
        _lost(stream),
        _age(stream),
        quality,
        _baseline(mapping(stream.get("baseline"))),
        _clock(stream),
    ]


def _ended(cells: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The row of a stream whose session has ended: what was counted stays, nothing alarms any more."""
    calm = [(text.lstrip("■▲● "), "muted", details) for text, _, details in cells]
    calm[COLUMNS.index("age")] = ("–", "muted", "the session has ended")
    calm[QUALITY] = ("○ ended", "muted", f"the session has ended; at last: {calm[QUALITY][2]}")
    return calm


def _rate(stream: Mapping[str, Any]) -> tuple[str, str, str]:
    nominal, measured = number(stream.get("rate_hz"), 0.0), number(stream.get("measured_hz"), -1.0)
    if nominal <= 0:
        return ("irregular", "muted", "events, not samples: no regular rate")
    if measured < 0:
        if stream.get("state") == "bad":
            return (f"{nominal:g} Hz", "muted", "nominal rate: no samples, nothing to measure")
        return (f"{nominal:g} Hz, measuring", "muted", "nominal rate; the effective one is known after 6 s")
    off = abs(measured / nominal - 1)
    state = "bad" if off >= 0.05 else "warn" if off >= 0.01 else ""
    sign = f"{shape(state)} " if state else ""
    details = f"measured {measured:.2f} Hz, nominal {nominal:g} Hz"
    return (f"{sign}{measured:.1f} of {nominal:g} Hz", state, details)


def _lost(stream: Mapping[str, Any]) -> tuple[str, str, str]:
    lost = int(number(stream.get("lost"), 0.0))
    samples = int(number(stream.get("samples"), 0.0))
    if number(stream.get("rate_hz"), 0.0) <= 0:
        return ("–", "muted", f"{samples:,} events")
    details = f"{lost:,} samples missing in gaps, {samples:,} received"
    return (f"▲ {lost:,}" if lost else "0", "warn" if lost else "", details)


def _age(stream: Mapping[str, Any]) -> tuple[str, str, str]:
    age_s = number(stream.get("age_s"), -1.0)
    if age_s < 0:
        return ("–", "muted", "nothing has been received yet")
    return (age(age_s), "", "since the last samples")


def _clock(stream: Mapping[str, Any]) -> tuple[str, str, str]:
    offset_s = number(stream.get("clock_offset_s"), float("nan"))
    if offset_s != offset_s:
        return ("–", "muted", "the clocks have not been compared yet")
    details = "local clock minus the sender's clock"
    if abs(offset_s) < 1.0:
        return (f"{1e3 * offset_s + 0.0:+.2f} ms".replace("-0.00", "+0.00"), "", details)
    return (f"{offset_s:+.1f} s", "", details)


def _baseline(baseline: Mapping[str, Any]) -> tuple[str, str, str]:
    state = plain_text(baseline.get("state"))
    left_s = number(baseline.get("seconds_left"), -1.0)
    if state == "complete":
        return ("● complete", "ok", "the person's baseline is complete")
    if state == "collecting":
        left = f"{left_s:.0f} s left" if left_s >= 0 else "collecting"
        return (f"▲ {left}", "warn", "no estimate until the person's baseline is complete")
    if state == "waiting":
        return ("▲ waiting", "warn", "starts with the baseline marker")
    return ("none" if state == "none" else "–", "muted", "the model needs no baseline")


def _quality(stream: Mapping[str, Any], n_channels: int) -> tuple[str, str, str]:
    state = plain_text(stream.get("state"))
    state = state if state in ("ok", "warn", "bad") else "muted"
    problem = plain_text(stream.get("problem"))
    bad = {plain_text(label): plain_text(why) for label, why in mapping(stream.get("bad_channels")).items()}
    parts = [problem] if problem else []
    if bad:
        named = ", ".join(f"{label} {why}" for label, why in list(bad.items())[:MOST_NAMED])
        more = f" and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
        good = n_channels - len(bad)
        count = f"{good} of {n_channels} good" if good >= 0 else f"{len(bad)} bad"
        parts.append(f"{count} ({named}{more})")
    if not parts and state == "bad":
        parts.append("silent: no samples; is the sender running?")
    if not parts:
        has_lost = state == "warn" and number(stream.get("lost"), 0.0) > 0
        all_good = f"{n_channels} of {n_channels} good" if n_channels else "good"
        parts.append("–" if state == "muted" else "samples were lost" if has_lost else all_good)
    if said := _drift(mapping(stream.get("drift"))):
        parts.append(said)
    details = "\n".join([*parts, *(f"{label}: {why}" for label, why in list(bad.items())[:64])])
    sign = f"{shape(state)} " if state != "muted" else ""
    return (sign + "; ".join(parts), state, details)


def _drift(drift: Mapping[str, Any]) -> str:
    """How far the features are from the training's; "" where that is not measured."""
    distance = number(drift.get("distance"), -1.0)
    if distance < 0:
        return ""
    drivers = plain_text(drift.get("drivers"))
    return f"drift {distance:.2f} of limit 1" + (f": {drivers}" if drivers else "")
