"""Connect: which pipeline, and which stream of the network serves which of its modalities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QPushButton, QTableWidgetItem, QWidget

from bci_m2s.panel.look.background import Background
from bci_m2s.panel.look.text import ElidedLabel, shape, tip
from bci_m2s.panel.look.theme import LARGE, Theme
from bci_m2s.panel.look.view import in_column, in_row, plain_label
from bci_m2s.panel.operate.connect_table import (
    VERDICT,
    StreamRow,
    colour_boxes,
    fill_row,
    make_table,
    rows_of,
)
from bci_m2s.panel.operate.offers import Choice, Lookout, Offer, fitting
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

AGAIN_MS = 2000  # from one answer of the network to the next question
FIRST_AGAIN_MS = 300  # while nothing was found, and at first: senders answer one after the other
PATIENCE_LOOKS = 8  # at first, and before help is offered: a sender answers within half a second
MOST_ROWS = 200
LOOKING = "looking for streams…"
NOTHING = "No stream found. Is the sender running on this network, and not behind a firewall?"


class ConnectDialog(QDialog):
    """Lists pipelines and streams; ``choice`` is set when it was accepted.

    offers : finds the pipelines; called once, in a worker thread
    streams : what is on the network; called again and again, in a worker thread
    """

    def __init__(
        self,
        theme: Theme,
        offers: Callable[[], list[Offer]],
        streams: Callable[[], list[StreamInfo]] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Connect")
        self.choice: Choice | None = None
        self._theme = theme
        self._look = streams if streams is not None else Lookout()
        self._offers: list[Offer] = []
        self._infos: list[StreamInfo] = []
        self._rows: list[StreamRow] = []
        self._ticked: dict[str, str] = {}  # uid by modality
        self._cleared: set[tuple[str, str]] = set()  # unticked by hand: not ticked again by itself
        self._looks, self._problem, self._user_picked = 0, "", False
        self._closed = False
        self._background = Background(self)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._start_look)
        self._make_widgets()
        colour_boxes(self.table, self._theme)
        self.resize(1080, 420)
        self._background.start(offers, self._take_offers, self._offers_failed)
        self._start_look()
        self._refresh()

    def _make_widgets(self) -> None:
        title = plain_label("Which pipeline, with which streams?", LARGE)
        self.picker = QComboBox()
        self.picker.setAccessibleName("pipeline")
        self.picker.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.picker.activated.connect(self._picked)
        self.offer_note = ElidedLabel("reading pipelines…")
        self.table = make_table()
        self.table.itemChanged.connect(self._changed)
        self.stream_note, self.need_note = ElidedLabel(LOOKING), plain_label(wraps=True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.connect_button = QPushButton("Connect")
        self.connect_button.setDefault(True)
        buttons.addButton(self.connect_button, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        choice = in_row(self.picker, (self.offer_note, 1))
        notes = self.stream_note, self.need_note
        parts = title, choice, (self.table, 1), *notes, buttons
        self.setLayout(in_column(*parts, margins=(14, 12, 14, 12), spacing=8))

    @property
    def offer(self) -> Offer | None:
        """The pipeline that is picked."""
        place = self.picker.currentIndex()
        return self._offers[place] if 0 <= place < len(self._offers) else None

    def accept(self) -> None:
        """Keep the choice and close; nothing happens while something is missing."""
        offer = self.offer
        if offer is None or self._missing():
            return
        chosen = {row.modality: row.info for row in self._rows if self._is_ticked(row)}
        self.choice = Choice(offer, {modality: info.source_id for modality, info in chosen.items()})
        super().accept()

    def done(self, result: int) -> None:
        self._closed = True
        self._again.stop()
        super().done(result)

    # ---- what the workers bring ----

    def _start_look(self) -> None:
        self._background.start(self._look, self._take_streams, self._look_failed)

    def _take_streams(self, infos: list[StreamInfo]) -> None:
        self._looks, self._problem = self._looks + 1, ""
        self._infos = infos[:MOST_ROWS]
        self._look_again()

    def _look_failed(self, problem: Exception) -> None:
        self._problem = f"cannot look for streams: {problem}"
        self._look_again()

    def _look_again(self) -> None:
        if self._closed:
            return
        settled = bool(self._infos) and self._looks >= PATIENCE_LOOKS
        self._again.start(AGAIN_MS if settled else FIRST_AGAIN_MS)
        self._refresh()

    def _take_offers(self, offers: list[Offer]) -> None:
        self._offers = offers
        for offer in offers:
            words = f"{offer.name} — {offer.model}" if offer.model else f"{offer.name} (broken)"
            self.picker.addItem(printable(words))
        self._refresh()

    def _offers_failed(self, problem: Exception) -> None:
        self.offer_note.show_text(f"{shape('bad')} {problem}", self._theme.bad)

    # ---- what the user does ----

    def _picked(self, place: int) -> None:
        del place
        self._user_picked = True
        self._ticked.clear()
        self._cleared.clear()
        self._refresh()

    def _pick_what_fits(self) -> None:
        """Until the user picks: the first pipeline that could run, else the first that is not broken."""
        whole = [all(fitting(offer, self._infos).values()) and bool(offer.needs) for offer in self._offers]
        sound = [not offer.problem for offer in self._offers]
        place = (whole if any(whole) else sound).index(True) if any(sound) else 0
        if place != self.picker.currentIndex():
            self.picker.setCurrentIndex(place)
            self._ticked.clear()

    def _changed(self, item: QTableWidgetItem) -> None:
        if item.column() != 0 or item.row() >= len(self._rows):
            return
        row = self._rows[item.row()]
        self._user_picked = True
        if item.checkState() == Qt.CheckState.Checked:
            self._ticked[row.modality] = row.info.uid
        elif self._is_ticked(row):
            del self._ticked[row.modality]
            self._cleared.add(row.key)
        self._refresh()

    def _is_ticked(self, row: StreamRow) -> bool:
        return row.fits and self._ticked.get(row.modality) == row.info.uid

    def _missing(self) -> list[str]:
        """Needs of the pipeline that no ticked stream serves."""
        offer = self.offer
        if offer is None or offer.problem:
            return [""]
        served = {row.modality for row in self._rows if self._is_ticked(row)}
        return [modality for modality in offer.needs if modality not in served]

    # ---- drawing ----

    def _refresh(self) -> None:
        if self._offers and not self._user_picked:
            self._pick_what_fits()
        offer = self.offer
        rows = rows_of(offer, self._infos)
        self._tick_the_only_ones(rows)
        ticks = [self._ticked.get(row.modality) == row.info.uid and row.fits for row in rows]
        self.table.blockSignals(True)
        if rows != self._rows:
            self._rows = rows
            self.table.setRowCount(len(rows))
            for place, row in enumerate(rows):
                fill_row(self.table, place, row, self._theme)
            for column in range(1, VERDICT):
                self.table.resizeColumnToContents(column)
                self.table.setColumnWidth(column, min(self.table.columnWidth(column) + 8, 200))
        for place, ticked in enumerate(ticks):
            if (item := self.table.item(place, 0)) is not None and self._rows[place].fits:
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
        self.table.blockSignals(False)
        self._show_notes(offer)

    def _tick_the_only_ones(self, rows: Sequence[StreamRow]) -> None:
        """Tick a stream that is the only one that fits, unless the user unticked it."""
        for modality in {row.modality for row in rows if row.fits}:
            fitting = [row for row in rows if row.fits and row.modality == modality]
            present = any(row.info.uid == self._ticked.get(modality) for row in fitting)
            if not present:
                self._ticked.pop(modality, None)
                if len(fitting) == 1 and fitting[0].key not in self._cleared:
                    self._ticked[modality] = fitting[0].info.uid

    def _show_notes(self, offer: Offer | None) -> None:
        theme = self._theme
        if offer is not None and offer.problem:
            self.offer_note.show_text(f"{shape('bad')} {offer.problem}", theme.bad)
        elif offer is not None and offer.simulated:
            words = "trained on simulated data: its estimates do not apply to real people"
            self.offer_note.show_text(f"{shape('warn')} {words}", theme.warn)
        elif offer is not None:
            self.offer_note.show_text(str(offer.pipeline), theme.muted)
        elif not self._background.busy or self._looks:
            self.offer_note.show_text("no pipeline found", theme.warn)
        self.offer_note.setToolTip(tip(self.offer_note.full_text))
        count = len(self._infos)
        if self._problem:
            self.stream_note.show_text(f"{shape('bad')} {self._problem}", theme.bad)
        elif not count:
            late = self._looks >= PATIENCE_LOOKS
            self.stream_note.show_text(NOTHING if late else LOOKING, theme.warn if late else theme.muted)
        else:
            self.stream_note.show_text(
                f"{count} stream{'s' if count > 1 else ''} on the network", theme.muted
            )
        missing = self._missing()
        self.connect_button.setEnabled(not missing)
        self.need_note.setText(printable(self._need_words(offer, missing)))
        self.need_note.setStyleSheet(f"color: {theme.text if missing else theme.ok}")

    def _need_words(self, offer: Offer | None, missing: Sequence[str]) -> str:
        if offer is None or offer.problem:
            return ""
        if not missing:
            return f"{shape('ok')} ready: {', '.join(offer.needs) or 'this pipeline needs no stream'}"
        wanted = "; ".join(f"{modality} ({offer.describe(modality)})" for modality in missing)
        every = "the pipeline needs every stream that it names; " if len(offer.needs) > 1 else ""
        return f"{every}still missing: {wanted}"
