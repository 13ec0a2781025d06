"""Can Qt start here? Asked before Qt is loaded, because Qt itself ends the process when it cannot.

Nothing of Qt is imported when this module is. The order is that in which Qt fails: its own libraries, a
display to draw on, the plugin that draws there, the display's answer.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from bci_m2s.errors import UsageError
from bci_m2s.text import printable, quoted

# File that the loader misses: package of Debian and Ubuntu, package of Fedora.
PACKAGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "libEGL.so.1": ("libegl1", "libglvnd-egl"),
        "libGL.so.1": ("libgl1", "libglvnd-glx"),
        "libGLX.so.0": ("libglx0", "libglvnd-glx"),
        "libOpenGL.so.0": ("libopengl0", "libglvnd-opengl"),
        "libdbus-1.so.3": ("libdbus-1-3", "dbus-libs"),
        "libfontconfig.so.1": ("libfontconfig1", "fontconfig"),
        "libfreetype.so.6": ("libfreetype6", "freetype"),
        "libglib-2.0.so.0": ("libglib2.0-0", "glib2"),
        "libgthread-2.0.so.0": ("libglib2.0-0", "glib2"),
        "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
        "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11"),
        "libX11.so.6": ("libx11-6", "libX11"),
        "libX11-xcb.so.1": ("libx11-xcb1", "libX11-xcb"),
        "libSM.so.6": ("libsm6", "libSM"),
        "libICE.so.6": ("libice6", "libICE"),
        "libxcb.so.1": ("libxcb1", "libxcb"),
        "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor"),
        "libxcb-glx.so.0": ("libxcb-glx0", "libxcb"),
        "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm"),
        "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image"),
        "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms"),
        "libxcb-randr.so.0": ("libxcb-randr0", "libxcb"),
        "libxcb-render.so.0": ("libxcb-render0", "libxcb"),
        "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil"),
        "libxcb-shape.so.0": ("libxcb-shape0", "libxcb"),
        "libxcb-shm.so.0": ("libxcb-shm0", "libxcb"),
        "libxcb-sync.so.1": ("libxcb-sync1", "libxcb"),
        "libxcb-util.so.1": ("libxcb-util1", "xcb-util"),
        "libxcb-xfixes.so.0": ("libxcb-xfixes0", "libxcb"),
        "libxcb-xinerama.so.0": ("libxcb-xinerama0", "libxcb"),
        "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb"),
        "libwayland-client.so.0": ("libwayland-client0", "libwayland-client"),
        "libwayland-cursor.so.0": ("libwayland-cursor0", "libwayland-cursor"),
        "libwayland-egl.so.1": ("libwayland-egl1", "libwayland-egl"),
    }
)
MODULES = ("PyQt6.QtCore", "PyQt6.QtGui", "PyQt6.QtWidgets")
NO_DISPLAY = (
    "Qt cannot start: no display: neither DISPLAY nor WAYLAND_DISPLAY is set; start the panel on a desktop "
    "(over ssh: ssh -X), or run without it"
)
ANSWER_S = 3.0
_MISSING = re.compile(r"([\w.+-]+\.so[\w.]*): cannot open shared object file")


def check_qt() -> None:
    """Raise UsageError, in one line that says what to do, when Qt cannot open a window here."""
    _check_modules()
    if not sys.platform.startswith("linux"):
        return
    problems = []
    for platform in platforms(os.environ):
        try:
            _check_platform(platform)
        except UsageError as problem:
            problems.append(problem)
        else:
            return
    raise problems[0] if problems else UsageError(NO_DISPLAY)


def platforms(environment: Mapping[str, str]) -> list[str]:
    """Qt's platforms in the order in which it tries them on Linux; [] where there is no display."""
    wanted = environment.get("QT_QPA_PLATFORM", "")
    if wanted.strip():
        return [name.split(":")[0].strip() for name in wanted.split(";") if name.strip()]
    found = [
        name
        for name, variable in (("wayland", "WAYLAND_DISPLAY"), ("xcb", "DISPLAY"))
        if environment.get(variable)
    ]
    return found[::-1] if environment.get("XDG_SESSION_TYPE") == "x11" else found


def explain(problem: str, system: str = "") -> str:
    """One line for what a loader said: what is missing, and how it is installed.

    system : as ``sys.platform``; "" is this one
    """
    system = system or sys.platform
    reason = printable(problem, 300)
    missing = _MISSING.search(reason)
    if missing is not None:
        return f"Qt cannot start: the system library {missing[1]} is missing; {_install(missing[1])}"
    if system == "win32":
        return (
            f"Qt cannot start: {reason}; install the Microsoft Visual C++ redistributable "
            "(https://aka.ms/vs/17/release/vc_redist.x64.exe), then: pip install --force-reinstall PyQt6"
        )
    if system == "darwin":
        return (
            f"Qt cannot start: {reason}; Qt 6 needs macOS 13 or newer and a Python for this processor "
            "(not Rosetta), then: pip install --force-reinstall PyQt6"
        )
    return f"Qt cannot start: {reason}; try: pip install --force-reinstall PyQt6"


def _install(first: str) -> str:
    """How to install a library, and whatever else of the table is missing too."""
    wayland = "wayland" in first  # else nothing of Wayland is needed
    others = [name for name in PACKAGES if name != first and (wayland or "wayland" not in name)]
    missing = [first, *(name for name in others if not _loads(name))]
    known = [PACKAGES[name] for name in missing if name in PACKAGES]
    if first not in PACKAGES:
        return f"find its package: Debian/Ubuntu: apt-file search {first}; Fedora: dnf provides '*/{first}'"
    debian, fedora = (" ".join(dict.fromkeys(pair[side] for pair in known)) for side in (0, 1))
    return f"Debian/Ubuntu: sudo apt install {debian}; Fedora: sudo dnf install {fedora}"


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _check_modules() -> None:
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as problem:
            raise UsageError(f"Qt cannot start: {problem}; install it: pip install PyQt6") from None
        except ImportError as problem:
            raise UsageError(explain(str(problem))) from None


def _check_platform(platform: str) -> None:
    """Raise UsageError when a platform's plugin cannot be loaded or its display does not answer."""
    plugin = _plugins() / f"libq{platform}.so"
    if plugin.is_file():  # Qt of a distribution has it elsewhere, with what it needs
        try:
            ctypes.CDLL(str(plugin))
        except OSError as problem:
            raise UsageError(explain(str(problem))) from None
    answers = _DISPLAYS.get(platform)
    if answers is not None and (problem_text := answers()):
        raise UsageError(f"Qt cannot start: {problem_text}")


def _plugins() -> Path:
    package = sys.modules["PyQt6"].__file__ or ""
    return Path(package).parent / "Qt6" / "plugins" / "platforms"


def _ask_x11() -> str:
    """Why the X display cannot be used, "" when it can: connected as Qt will, authority included."""
    display = os.environ.get("DISPLAY", "")
    if not display:
        return NO_DISPLAY.partition(": ")[2]
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    if not refused:
        return ""
    return (
        f"the display DISPLAY={quoted(display)} does not answer or does not let this user in; "
        "is its X server running, and may you use it (xhost, ssh -X)?"
    )


def _ask_wayland() -> str:
    """Why the Wayland display cannot be used, "" when it can."""
    name = os.environ.get("WAYLAND_DISPLAY", "") or "wayland-0"
    path = Path(os.environ.get("XDG_RUNTIME_DIR", "/run/user")) / name  # an absolute name stays as it is
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as compositor:
            compositor.settimeout(ANSWER_S)
            compositor.connect(str(path))
    except OSError as problem:
        shown = f"WAYLAND_DISPLAY={quoted(name)}"
        return f"the display {shown} does not answer: {problem.strerror or problem}"
    return ""


_DISPLAYS: Mapping[str, Callable[[], str]] = {"xcb": _ask_x11, "wayland": _ask_wayland}
