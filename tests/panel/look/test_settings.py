"""What the panel remembers: round trips through an INI file, and files that hold nonsense."""

import pytest
from PyQt6.QtCore import QByteArray, QSettings

from bci_m2s.panel.look.settings import FORMER_MARKERS, LONGEST, MOST_MARKERS, PanelSettings, load, save


@pytest.fixture
def file(tmp_path):
    return tmp_path / "panel.ini"


def opened(file):
    """The store as the next start of the panel finds it."""
    return QSettings(str(file), QSettings.Format.IniFormat)


def test_an_empty_store_gives_defaults(file):
    assert load(opened(file)) == PanelSettings()
    save(
        opened(file), PanelSettings(markers=FORMER_MARKERS)
    )  # an older panel wrote them without being asked
    assert load(opened(file)).markers == ()


def test_everything_comes_back_from_the_file(file):
    settings = PanelSettings(
        theme="light",
        markers=("ä; b", "50 % = x", "c,d", "[e]"),
        traces={"0a1b": {"span_s": 20, "notch": "50 Hz"}, "ffff": {"notch": "off"}},
        geometry=QByteArray(b"\x01\x00\xff geometry"),
        splitters={"main": QByteArray(b"\x00\x02"), "right": QByteArray(b"\x03")},
    )
    save(opened(file), settings)
    again = load(opened(file))
    assert again.traces["0a1b"].pop("span_s") in (20, "20")  # an INI file knows no numbers
    settings.traces["0a1b"].pop("span_s")
    assert again == settings


@pytest.mark.parametrize("markers", [("only one",), ("a, b",), ("1",), ("",), ()])
def test_few_markers(file, markers):
    save(opened(file), PanelSettings(markers=markers))
    assert load(opened(file)).markers == (markers if any(markers) else ())


def test_saving_again_replaces_what_was_there(file):
    first = {"main": QByteArray(b"1"), "right": QByteArray(b"2")}
    save(
        opened(file), PanelSettings(markers=("a", "b"), splitters=first, traces={"m": {"x": "1", "y": "2"}})
    )
    save(
        opened(file),
        PanelSettings(markers=("c",), splitters={"main": QByteArray(b"3")}, traces={"m": {"x": "4"}}),
    )
    again = load(opened(file))
    assert again.markers == ("c",)
    assert again.splitters == {"main": QByteArray(b"3")}
    assert again.traces == {"m": {"x": "4"}}


@pytest.mark.parametrize(
    "text",
    [
        "theme=pink\nmarkers=@Invalid()\n[window]\ngeometry=wide\n[splitters]\nmain=7\n",
        "theme=dark, light\nmarkers=\n[window]\ngeometry=@Variant(\\0)\n[splitters]\nmain=@ByteArray\n",
        "\x00\xff nonsense ] = [",
    ],
)
def test_nonsense_gives_defaults(file, text):
    file.write_text(f"[General]\n{text}")
    again = load(opened(file))
    assert (again.theme, again.markers) == (PanelSettings().theme, ())
    assert again.geometry.isEmpty()
    assert again.splitters == {}


def test_markers_of_a_long_file_are_limited(file):
    store = opened(file)
    store.setValue("markers", ["x" * 1000, " ", *map(str, range(50))])
    store.sync()
    markers = load(opened(file)).markers
    assert len(markers) == MOST_MARKERS
    assert markers[:2] == ("x" * LONGEST, "0")


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    store = QSettings(str(tmp_path), QSettings.Format.IniFormat)  # a folder
    save(store, PanelSettings(theme="light"))
    assert store.status() is QSettings.Status.AccessError
