"""Topography: band power over the head, or what an estimate rests on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtWidgets import QButtonGroup, QComboBox, QPushButton

from bci_m2s.panel.head.band_power import BANDS, UNIT
from bci_m2s.panel.head.head_map import HeadMap, Scene, diverging, evidence_limits, power_limits
from bci_m2s.panel.head.scalp import LEAST_PLACES, Places, interpolation, locate
from bci_m2s.panel.look.background import Background
from bci_m2s.panel.look.text import tip
from bci_m2s.panel.look.theme import SMALL, Theme
from bci_m2s.panel.look.view import View, in_column, in_row, plain_label
from bci_m2s.text import printable
from bci_m2s.types import FloatArray

POWER, EVIDENCE = "power", "evidence"
ALL_BANDS = "all bands"
EVIDENCE_UNIT = "gradient × input"
MOST_NAMED = 6  # of the channels that are left out; all of them are in the tooltip
KEPT_MATRICES = 8  # one for each set of bad channels that was seen; a matrix takes 3 MB at 62 channels


class TopographyView(View):
    """A head with one band's power or evidence; the user picks which.

    Values are (channels, bands), the first of them ``BANDS``; the view takes the picked band, and adds up
    evidence where "all bands" is picked. NaN is a channel without a value. mode : "power" or "evidence"
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self._labels: tuple[str, ...] = ()
        self._bad: frozenset[str] = frozenset()
        self._places: Places | None = None
        self._matrices: OrderedDict[frozenset[int], NDArray[np.float32] | None] = OrderedDict()
        self._making: set[frozenset[int]] = set()
        self._values: dict[str, FloatArray] = {}
        self._evidence_for = self._problem = ""
        self._limits: dict[tuple[str, str], tuple[float, float]] = {}
        self._picked = {POWER: "alpha", EVIDENCE: ALL_BANDS}
        self.mode = POWER
        self._background = Background(self)
        self.map = HeadMap(theme)
        self._make_controls()
        self._fill_picker()
        self._refresh()

    def _make_controls(self) -> None:
        self.buttons = {mode: QPushButton(mode) for mode in (POWER, EVIDENCE)}
        group = QButtonGroup(self)
        for mode, button in self.buttons.items():
            button.setCheckable(True)
            button.setChecked(mode == self.mode)
            button.clicked.connect(lambda _, mode=mode: self.set_mode(mode))
            group.addButton(button)
        self.picker = QComboBox()
        self.picker.setAccessibleName("band")
        self.picker.setMinimumContentsLength(len(ALL_BANDS))
        self.picker.textActivated.connect(self.set_band)
        self.note = plain_label("", SMALL, muted=True, wraps=True)
        choices = in_row(*self.buttons.values(), None, self.picker, spacing=0)
        self.setLayout(in_column(choices, (self.map, 1), self.note, margins=(6, 6, 6, 6), spacing=4))

    # ---- what is shown ----

    @property
    def band(self) -> str:
        """Name of the picked band, or "all bands"."""
        return self._picked[self.mode]

    def set_mode(self, mode: str) -> None:
        """Show "power" or "evidence"."""
        if mode != self.mode:
            self.mode = mode
            self._fill_picker()
            self._refresh()
        self.buttons[mode].setChecked(True)

    def set_band(self, band: str) -> None:
        """Pick a band of the current mode; an unknown one is ignored."""
        if self.picker.findText(band) < 0 or band == self.band:
            return
        self._picked[self.mode] = band
        self.picker.setCurrentText(band)
        self._refresh()

    def take_next_mode(self) -> None:
        """Show evidence instead of power, or power again."""
        self.set_mode(EVIDENCE if self.mode == POWER else POWER)

    def take_next_band(self) -> None:
        """Pick the next band; after the last the first."""
        self.set_band(self.picker.itemText((self.picker.currentIndex() + 1) % max(self.picker.count(), 1)))

    def set_montage(self, labels: Sequence[str]) -> None:
        """Name the channels. Their places are looked up beside the window; until then there is no map."""
        labels = tuple(labels)
        if labels == self._labels:
            return
        self._labels, self._places, self._problem = labels, None, ""
        self._matrices.clear()
        self._making.clear()
        self._values.clear()
        self._limits.clear()
        if labels:
            self._background.start(
                lambda: locate(labels), lambda places: self._located(labels, places), self._failed
            )
        self._refresh()

    def set_bad(self, labels: Collection[str]) -> None:
        """Say which channels are not good: they are crossed, and the map does without them."""
        bad = frozenset(labels) & frozenset(self._labels)
        if bad != self._bad:
            self._bad = bad
            self._refresh()

    def show_power(self, values: FloatArray) -> None:
        """Show band power, (channels, bands)."""
        self._take(POWER, values)

    def show_evidence(self, values: FloatArray, label: str) -> None:
        """Show what speaks for (positive) and against the class `label`; shapes as in ``show_power``."""
        self._evidence_for = printable(label, 60)
        self._take(EVIDENCE, values)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.map.set_theme(theme)
        self._refresh()

    # ---- how it comes about ----

    def _take(self, mode: str, values: FloatArray) -> None:
        if len(values) == len(self._labels):  # else of a session that was
            self._values[mode] = values
            if mode == self.mode:
                self._refresh()

    def _fill_picker(self) -> None:
        self.picker.clear()
        self.picker.addItems([*([ALL_BANDS] if self.mode == EVIDENCE else []), *BANDS])
        self.picker.setCurrentText(self.band)

    def _located(self, labels: tuple[str, ...], places: Places) -> None:
        if labels == self._labels:
            self._places = places
            self._refresh()

    def _failed(self, problem: Exception) -> None:
        self._problem = f"no map: {problem}"
        self._refresh()

    def _matrix(self, used: frozenset[int]) -> NDArray[np.float32] | None:
        """The matrix for these of the places; None while it is made, and where there is none."""
        if used in self._matrices:
            self._matrices.move_to_end(used)
            return self._matrices[used]
        if used not in self._making and self._places is not None:
            labels, xy = self._labels, self._places.xy[sorted(used)]
            self._making.add(used)
            self._background.start(
                lambda: interpolation(xy), lambda made: self._made(labels, used, made), self._failed
            )
        return None

    def _made(
        self, labels: tuple[str, ...], used: frozenset[int], matrix: NDArray[np.float32] | None
    ) -> None:
        if labels != self._labels:
            return
        self._making.discard(used)
        self._matrices[used] = matrix
        while len(self._matrices) > KEPT_MATRICES:
            self._matrices.popitem(last=False)
        self._refresh()

    def _column(self) -> FloatArray | None:
        """Values of the picked band, (channels,)."""
        values = self._values.get(self.mode)
        if values is None or self.band != ALL_BANDS:
            return None if values is None else values[:, BANDS.index(self.band)]
        total: FloatArray = np.where(np.isfinite(values).any(axis=1), np.nansum(values, axis=1), np.nan)
        return total

    def _refresh(self) -> None:
        scene = Scene(labels=self._labels, message=self._problem)
        scene.bad = np.array([label in self._bad for label in self._labels], dtype=bool)
        values, places = self._column(), self._places
        if places is not None:
            scene.columns, scene.xy = places.columns, places.xy
        if values is None or places is None:
            scene.message = scene.message or self._waiting()
        else:
            self._fill(scene, values, places)
        self.map.show_scene(scene)
        self._write_note(scene)

    def _fill(self, scene: Scene, values: FloatArray, places: Places) -> None:
        scene.values = values
        good = np.isfinite(values) & ~scene.bad
        if not good.any():
            scene.message = "no channel has a value yet"
            return
        evidence = self.mode == EVIDENCE
        pick = evidence_limits if evidence else power_limits
        key = (self.mode, self.band)
        scene.limits = self._limits[key] = pick(values[good], self._limits.get(key))
        if evidence:
            scene.colours, scene.unit = diverging(self.theme), EVIDENCE_UNIT
            scene.ends = f"against – for {self._evidence_for}"
        else:
            scene.unit = scene.ends = UNIT
        used = frozenset(np.flatnonzero(good[places.columns]).tolist())
        matrix = self._matrix(used)
        if matrix is not None:
            known = values[places.columns[sorted(used)]]
            scene.picture = (matrix @ known.astype(np.float32)).astype(np.float64)
        elif len(places.columns) < LEAST_PLACES or used in self._matrices:
            scene.bars = True

    def _waiting(self) -> str:
        if not self._labels:
            return "no EEG stream yet"
        if self.mode == EVIDENCE and self._places is not None:
            return "no evidence yet:\nit comes with the estimates"
        return "collecting two seconds of signal" if self._places is not None else ""

    def _write_note(self, scene: Scene) -> None:
        parts = [scene.unit] if scene.picture is not None or scene.bars else []
        out = [label for column, label in enumerate(self._labels) if scene.left_out(column)]
        if out:
            more = f" and {len(out) - MOST_NAMED} more" if len(out) > MOST_NAMED else ""
            parts.append(f"✕ left out: {', '.join(out[:MOST_NAMED])}{more}")
        if self._places is not None and self._places.unknown:
            count, total = len(self._places.unknown), len(self._labels)
            parts.append(f"{count} of {total} channels have no known place on the head")
        self.note.setText(" · ".join(parts))
        self.note.setToolTip(tip("\n".join([*parts, *out[MOST_NAMED:]])))
