"""Before Qt starts: what is missing is one line with the packages, never a traceback or an abort."""

import ctypes
import importlib
import os
import socket
import subprocess
import sys

import pytest

from bci_m2s.errors import UsageError
from bci_m2s.panel.look import preflight
from bci_m2s.panel.look.preflight import NO_DISPLAY, PACKAGES, check_qt, explain, platforms

# What the loader really said where these libraries were taken away.
XCB_CURSOR = "libxcb-cursor.so.0: cannot open shared object file: No such file or directory"
GL = "libGL.so.1: cannot open shared object file: No such file or directory"
UNKNOWN = "libnobodyknows.so.3: cannot open shared object file: No such file or directory"
WINDOWS = "DLL load failed while importing QtWidgets: The specified module could not be found."
MAC = "dlopen(QtWidgets.abi3.so, 0x0002): Library not loaded: @rpath/QtCore.framework/Versions/A/QtCore"

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays of Linux")


@pytest.fixture
def bare(monkeypatch):
    """No display at all."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def refuse(monkeypatch, problems):
    """Make the loader refuse files: {part of the name: what it says}."""
    real = ctypes.CDLL

    def load(name, *args, **more):
        for part, words in problems.items():
            if part in str(name):
                raise OSError(words)
        return real(name, *args, **more)

    monkeypatch.setattr(ctypes, "CDLL", load)


def line_of(problem):
    text = str(problem.value)
    assert "\n" not in text
    assert text.startswith("Qt cannot start: ")
    return text


def test_offscreen_is_fine(bare):
    bare.setenv("QT_QPA_PLATFORM", "offscreen")
    check_qt()


@linux
@pytest.mark.usefixtures("bare")
def test_no_display_is_said():
    with pytest.raises(UsageError) as problem:
        check_qt()
    assert line_of(problem) == NO_DISPLAY


@linux
def test_a_missing_library_of_the_plugin_is_named_with_its_packages(bare):
    bare.setenv("QT_QPA_PLATFORM", "xcb")
    refuse(bare, {"libqxcb.so": XCB_CURSOR, "libxcb-icccm": "gone"})
    with pytest.raises(UsageError) as problem:
        check_qt()
    text = line_of(problem)
    assert "the system library libxcb-cursor.so.0 is missing" in text
    assert (
        "Debian/Ubuntu: sudo apt install libxcb-cursor0 libxcb-icccm4" in text
    )  # all that is missing at once
    assert "Fedora: sudo dnf install xcb-util-cursor xcb-util-wm" in text
    assert "wayland" not in text


@pytest.mark.parametrize("words", [GL, WINDOWS, MAC])
def test_a_module_that_cannot_be_loaded_is_one_line(bare, words):
    real = importlib.import_module

    def load(name):
        if name == "PyQt6.QtGui":
            raise ImportError(words)
        return real(name)

    bare.setattr(importlib, "import_module", load)
    with pytest.raises(UsageError) as problem:
        check_qt()
    line_of(problem)


def test_a_qt_that_is_not_installed_says_how(bare):
    def load(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    bare.setattr(importlib, "import_module", load)
    with pytest.raises(UsageError, match="pip install PyQt6"):
        check_qt()


def test_each_system_is_told_what_to_do():
    assert "apt install libgl1" in explain(GL, "linux")
    assert "dnf install libglvnd-glx" in explain(GL, "linux")
    assert "Visual C++ redistributable" in explain(WINDOWS, "win32")
    assert "macOS 13" in explain(MAC, "darwin")
    assert "apt-file search libnobodyknows.so.3" in explain(UNKNOWN, "linux")
    assert "dnf provides '*/libnobodyknows.so.3'" in explain(UNKNOWN, "linux")
    assert "\n" not in explain("a\nb" * 500, "linux")


def test_the_table_has_a_package_of_both_families_for_each_library():
    for library, packages in PACKAGES.items():
        assert ".so." in library
        assert len(packages) == 2
        assert all(name and " " not in name for name in packages)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"DISPLAY": ":0"}, ["xcb"]),
        ({"WAYLAND_DISPLAY": "wayland-0"}, ["wayland"]),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, ["wayland", "xcb"]),
        ({"WAYLAND_DISPLAY": "w", "DISPLAY": ":0", "XDG_SESSION_TYPE": "x11"}, ["xcb", "wayland"]),
        ({"QT_QPA_PLATFORM": "wayland;xcb:more", "DISPLAY": ":0"}, ["wayland", "xcb"]),
        ({"QT_QPA_PLATFORM": " "}, []),
    ],
)
def test_platforms_are_those_that_qt_tries(environment, expected):
    assert platforms(environment) == expected


@linux
def test_a_display_that_does_not_answer_is_found_out(bare):
    free = next(number for number in range(900, 1000) if not os.path.exists(f"/tmp/.X11-unix/X{number}"))  # noqa: PTH110
    bare.setenv("DISPLAY", f":{free}")
    bare.setattr(preflight, "_plugins", lambda: preflight.Path("nowhere"))  # whatever is installed here
    if not preflight._loads("libxcb.so.1"):
        pytest.skip("no libxcb on this machine")
    with pytest.raises(UsageError) as problem:
        check_qt()
    assert f"DISPLAY=':{free}' does not answer" in line_of(problem)


@linux
def test_a_wayland_display_answers_or_does_not(bare, tmp_path):
    bare.setattr(preflight, "_plugins", lambda: preflight.Path("nowhere"))
    bare.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    bare.setenv("WAYLAND_DISPLAY", "wayland-9")
    with pytest.raises(UsageError) as problem:
        check_qt()
    assert "WAYLAND_DISPLAY='wayland-9' does not answer: No such file" in line_of(problem)
    with socket.socket(socket.AF_UNIX) as compositor:
        compositor.bind(str(tmp_path / "wayland-9"))
        compositor.listen()
        check_qt()


@linux
def test_one_platform_that_works_is_enough(bare, tmp_path):
    bare.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    bare.setenv("QT_QPA_PLATFORM", "wayland;offscreen")
    check_qt()


def test_nothing_of_qt_is_loaded_by_the_module_itself():
    code = (
        "import sys, bci_m2s.panel.look.preflight\n"
        "print(any(name.startswith('PyQt6') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True
    )
    assert done.stdout.strip() == "False"
