"""What the panel remembers from one start to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PyQt6.QtCore import QByteArray, QSettings

from bci_m2s.panel.look.theme import BY_NAME, DARK

LONGEST = 60
MOST_MARKERS = 9
MONTAGES = "traces"  # group of the file, with one in it for each montage
FORMER_MARKERS = ("start", "stop", "artefact")  # of buttons that nobody had named


@dataclass(slots=True)
class PanelSettings:
    """theme : name; markers : texts of the marker buttons, () for those of the model's classes;
    traces : of the trace view of each
    montage, see there; geometry, splitters : of the window, as Qt packs them
    """

    theme: str = DARK.name
    markers: tuple[str, ...] = ()
    traces: dict[str, dict[str, Any]] = field(default_factory=dict)
    geometry: QByteArray = field(default_factory=QByteArray)
    splitters: dict[str, QByteArray] = field(default_factory=dict)


def load(store: QSettings) -> PanelSettings:
    """Read what was remembered; what is missing or nonsense gets its default."""
    loaded = PanelSettings()
    theme = store.value("theme", DARK.name)
    if isinstance(theme, str) and theme in BY_NAME:
        loaded.theme = theme
    markers = store.value("markers", [])
    if isinstance(markers, str):  # an INI file turns a list of one into text
        markers = [markers]
    if isinstance(markers, list):
        texts = [str(text)[:LONGEST] for text in markers if str(text).strip()]
        loaded.markers = () if tuple(texts) == FORMER_MARKERS else tuple(texts[:MOST_MARKERS])
    store.beginGroup(MONTAGES)
    loaded.traces = {montage: _group(store, montage) for montage in store.childGroups()}
    store.endGroup()
    geometry = store.value("window/geometry")
    if isinstance(geometry, QByteArray):
        loaded.geometry = geometry
    loaded.splitters = {
        key: value for key, value in _group(store, "splitters").items() if isinstance(value, QByteArray)
    }
    return loaded


def save(store: QSettings, settings: PanelSettings) -> None:
    """Write everything and flush it to the disk."""
    store.setValue("theme", settings.theme)
    store.setValue("markers", list(settings.markers))
    store.setValue("window/geometry", settings.geometry)
    traces = {f"{MONTAGES}/{montage}": values for montage, values in settings.traces.items()}
    for group, values in (*traces.items(), ("splitters", settings.splitters)):
        store.beginGroup(group)
        store.remove("")  # what is no longer among the values
        for key, value in values.items():
            store.setValue(key, value)
        store.endGroup()
    store.sync()


def _group(store: QSettings, name: str) -> dict[str, Any]:
    store.beginGroup(name)
    values = {key: store.value(key) for key in store.childKeys()}
    store.endGroup()
    return values
