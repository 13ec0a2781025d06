"""The table of the connect dialog: a row for each use that a pipeline could have for a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from bci_m2s.panel.look.text import shape, tip
from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.look.view import plain_table
from bci_m2s.panel.operate.offers import MARKERS, Offer, serves
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

COLUMNS = ("use for", "stream", "type", "rate", "channels", "host", "source id", "does it fit?")
VERDICT = len(COLUMNS) - 1


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A line of the table: a stream, and what it would be used for, "" where it is for nothing here."""

    info: StreamInfo
    modality: str
    problem: str

    @property
    def key(self) -> tuple[str, str]:
        """What it is, whatever its place."""
        return (self.info.uid, self.modality)

    @property
    def fits(self) -> bool:
        """Whether it can be used."""
        return bool(self.modality) and not self.problem


def rows_of(offer: Offer | None, infos: Sequence[StreamInfo]) -> list[StreamRow]:
    """A row for each use of each stream; what the pipeline can use comes first."""
    rows = []
    for info in infos:
        uses = serves(offer, info, infos) if offer is not None and not offer.problem else {}
        if not uses:
            why = f"the pipeline uses no stream of type {info.type!r}" if offer is not None else ""
            rows.append(StreamRow(info, "", why))
        rows += [StreamRow(info, modality, problem) for modality, problem in uses.items()]
    order = [*(offer.needs if offer is not None else ()), MARKERS, ""]
    return sorted(rows, key=lambda row: (not row.modality, not row.fits, order.index(row.modality)))


def make_table() -> QTableWidget:
    """The empty table."""
    table, header, _ = plain_table(COLUMNS)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(VERDICT, QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
    table.setColumnWidth(0, 110)
    return table


def colour_boxes(table: QTableWidget, theme: Theme) -> None:
    """A box that is ticked is filled, one that is not is hollow, on any background."""
    size = "width: 11px; height: 11px; border-radius: 2px"
    table.setStyleSheet(
        f"::indicator {{ {size}; border: 1px solid {theme.muted}; }}"
        f"::indicator:checked {{ background: {theme.accent}; border-color: {theme.accent}; }}"
    )


def fill_row(table: QTableWidget, place: int, row: StreamRow, theme: Theme) -> None:
    """Write a row; only what fits can be ticked."""
    info = row.info
    verdict = f"{shape('ok')} fits {row.modality}" if row.fits else row.problem
    verdict = f"{shape('warn')} {verdict}" if row.modality and row.problem else verdict
    rate = f"{info.rate_hz:g} Hz" if info.rate_hz else "irregular"
    texts = (info.name, info.type, rate, str(info.n_channels), info.host, info.source_id)
    for column, text in enumerate((row.modality if row.fits else "", *texts, verdict)):
        item = QTableWidgetItem(printable(text, 300))
        item.setFlags(Qt.ItemFlag.ItemIsEnabled)
        item.setForeground(QColor(theme.text if row.fits else theme.muted))
        item.setToolTip(tip(text))
        table.setItem(place, column, item)
    first, last = table.item(place, 0), table.item(place, VERDICT)
    if first is not None and row.fits:
        first.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
    if last is not None and row.modality:
        last.setForeground(QColor(theme.ok if row.fits else theme.warn))
