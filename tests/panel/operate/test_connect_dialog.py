"""The connect dialog: what is there, what fits, what is missing; nothing in it stalls the window."""

import threading
from dataclasses import replace

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog

from bci_m2s.panel.look.theme import DARK
from bci_m2s.panel.operate import connect_dialog
from bci_m2s.panel.operate.connect_dialog import LOOKING, NOTHING, ConnectDialog
from bci_m2s.panel.operate.connect_table import COLUMNS
from bci_m2s.panel.operate.offers import find_offers
from bci_m2s.types import StreamInfo

DEMO, MUSE = find_offers("demo")[0], find_offers("muse")[0]
LIMIT_MS = 120_000
BROKEN = find_offers("nowhere.yaml")[0]


def of(modality, name, **changes):
    spec = DEMO.contract.modalities[modality]
    made = StreamInfo(
        name, spec.stream_type, modality, f"u-{modality}", "lab", 250.0, spec.channels, spec.units
    )
    return replace(made, **changes)


EEG, EYE = of("eeg", "Simulated EEG"), of("eye", "Simulated eye tracker")
MARKERS = StreamInfo("Simulated markers", "Markers", "marks", "um", "lab", 0.0, ("m",), ("",), "string")
BAND = StreamInfo("Muse", "EEG", "m1", "u-m1", "lab", 256.0, ("TP9", "AF7", "AF8", "TP10"), ("",) * 4)


@pytest.fixture
def opened(qtbot, monkeypatch):
    monkeypatch.setattr(connect_dialog, "AGAIN_MS", 20)
    monkeypatch.setattr(connect_dialog, "FIRST_AGAIN_MS", 5)

    def make(infos, offers=(DEMO, MUSE)):
        """A dialog on a network that a test may change: the list `infos`."""
        dialog = ConnectDialog(DARK, lambda: list(offers), lambda: list(infos))
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitUntil(
            lambda: dialog.offer is not None and len(dialog._infos) == len(infos), timeout=LIMIT_MS
        )
        return dialog

    return make


def rows(dialog):
    return [
        [dialog.table.item(row, column).text() for column in range(len(COLUMNS))]
        for row in range(dialog.table.rowCount())
    ]


def ticked(dialog):
    return {
        dialog.table.item(row, 1).text()
        for row in range(dialog.table.rowCount())
        if dialog.table.item(row, 0).checkState() == Qt.CheckState.Checked
    }


def tick(dialog, name, on=True):
    place = next(row for row, cells in enumerate(rows(dialog)) if cells[1] == name)
    dialog.table.item(place, 0).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)


def test_what_fits_is_ticked_and_connects(opened, qtbot):
    dialog = opened([MARKERS, EYE, EEG])
    assert rows(dialog)[0] == ["eeg", "Simulated EEG", "EEG", "250 Hz", "62", "lab", "eeg", "● fits eeg"]
    assert ticked(dialog) == {"Simulated EEG", "Simulated eye tracker", "Simulated markers"}
    assert dialog.need_note.text() == "● ready: eeg, eye, markers"
    qtbot.mouseClick(dialog.connect_button, Qt.MouseButton.LeftButton)
    assert dialog.result() == QDialog.DialogCode.Accepted
    assert dialog.choice.offer is DEMO
    assert dialog.choice.source_ids == {"eeg": "eeg", "eye": "eye", "markers": "marks"}


def test_what_is_missing_is_said_and_nothing_connects(opened):
    dialog = opened([EEG, EYE])
    assert not dialog.connect_button.isEnabled()
    assert "needs every stream" in dialog.need_note.text()
    assert "markers (name 'Simulated markers', type 'Markers')" in dialog.need_note.text()
    dialog.accept()
    assert dialog.choice is None
    assert dialog.isVisible()


def test_a_stream_that_does_not_fit_says_which_field_and_cannot_be_ticked(opened):
    dialog = opened(
        [replace(EEG, name="actiCHamp"), StreamInfo("cam", "Video", labels=("x",))], offers=[DEMO]
    )
    verdicts = [cells[-1] for cells in rows(dialog)]
    assert verdicts[0] == "▲ eeg: name: got 'actiCHamp', expected 'Simulated EEG'"
    assert verdicts[1] == "the pipeline uses no stream of type 'Video'"
    assert not dialog.table.item(0, 0).flags() & Qt.ItemFlag.ItemIsUserCheckable


def test_of_two_that_fit_the_user_ticks_one(opened):
    second = replace(BAND, name="Muse 2", source_id="m2", uid="u-m2")
    dialog = opened([BAND, second], offers=[MUSE])
    assert ticked(dialog) == set()
    assert not dialog.connect_button.isEnabled()
    tick(dialog, "Muse")
    tick(dialog, "Muse 2")
    assert ticked(dialog) == {"Muse 2"}  # one stream per modality
    dialog.accept()
    assert dialog.choice.source_ids == {"eeg": "m2"}


def test_what_was_unticked_stays_so(opened, qtbot):
    dialog = opened([BAND], offers=[MUSE])
    assert ticked(dialog) == {"Muse"}
    tick(dialog, "Muse", on=False)
    looks = dialog._looks
    qtbot.waitUntil(lambda: dialog._looks > looks + 1, timeout=LIMIT_MS)
    assert ticked(dialog) == set()
    assert not dialog.connect_button.isEnabled()


def test_the_pipeline_that_could_run_is_picked_until_the_user_picks(opened, qtbot):
    infos = [BAND]
    dialog = opened(infos)
    assert dialog.offer is MUSE
    infos[:] = [EEG, EYE, MARKERS]
    qtbot.waitUntil(lambda: dialog.offer is DEMO, timeout=LIMIT_MS)
    assert dialog.connect_button.isEnabled()
    dialog.picker.setCurrentIndex(1)
    dialog.picker.activated.emit(1)
    looks = dialog._looks
    qtbot.waitUntil(lambda: dialog._looks > looks + 1, timeout=LIMIT_MS)
    assert dialog.offer is MUSE
    assert not dialog.connect_button.isEnabled()


def test_streams_come_and_go(opened, qtbot):
    infos = [BAND]
    dialog = opened(infos, offers=[MUSE])
    assert dialog.connect_button.isEnabled()
    infos.clear()
    qtbot.waitUntil(lambda: not dialog.connect_button.isEnabled(), timeout=LIMIT_MS)
    assert dialog.table.rowCount() == 0


def test_an_empty_network_is_explained(opened, qtbot):
    dialog = opened([])
    assert dialog.stream_note.full_text in (LOOKING, NOTHING)
    qtbot.waitUntil(lambda: dialog.stream_note.full_text == NOTHING, timeout=LIMIT_MS)


def test_a_broken_pipeline_says_why(opened):
    dialog = opened([BAND], offers=[BROKEN])
    assert "no such file" in dialog.offer_note.full_text
    assert not dialog.connect_button.isEnabled()


def test_a_network_that_cannot_be_looked_at_is_said_and_asked_again(qtbot, monkeypatch):
    monkeypatch.setattr(connect_dialog, "FIRST_AGAIN_MS", 5)
    answers = iter([OSError("no socket"), OSError("no socket")])

    def look():
        problem = next(answers, None)
        if problem is not None:
            raise problem
        return [BAND]

    dialog = ConnectDialog(DARK, lambda: [MUSE], look)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(
        lambda: "cannot look for streams: no socket" in dialog.stream_note.full_text, timeout=LIMIT_MS
    )
    qtbot.waitUntil(lambda: dialog.connect_button.isEnabled(), timeout=LIMIT_MS)


def test_the_window_stays_alive_while_the_network_is_slow(qtbot):
    go_on, looked_in = threading.Event(), []

    def slow():
        looked_in.append(threading.current_thread())
        go_on.wait(120)
        return [BAND]

    dialog = ConnectDialog(DARK, lambda: [MUSE], slow)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: dialog.offer is MUSE and bool(looked_in), timeout=LIMIT_MS)
    assert dialog.stream_note.full_text == LOOKING
    assert looked_in[0] is not threading.current_thread()
    go_on.set()
    qtbot.waitUntil(lambda: dialog.connect_button.isEnabled(), timeout=LIMIT_MS)


def test_a_closed_dialog_does_not_look_any_more(qtbot):
    go_on = threading.Event()

    def slow():
        go_on.wait(120)
        return [BAND]

    dialog = ConnectDialog(DARK, lambda: [MUSE], slow)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.reject()
    go_on.set()
    qtbot.waitUntil(lambda: not dialog._background.busy, timeout=LIMIT_MS)
    assert not dialog._again.isActive()
    assert dialog.choice is None


def test_text_of_the_network_is_plain(opened):
    dialog = opened([replace(BAND, host="<b>x</b>\n" + "y" * 5000)], offers=[MUSE])
    item = dialog.table.item(0, COLUMNS.index("host"))
    assert item.text().startswith("<b>x</b> y")
    assert len(item.text()) <= 300
    assert "<b>" not in item.toolTip()
