"""LabRecorder's ``filename`` command: what it says becomes a folder inside the session's own.

The words are LabRecorder's (AppRCS in its README): options in braces, placeholders with a percent sign.
Every part of the path comes from the network, so each is made a plain name, and none leads out.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath

from bci_m2s.errors import CommandError, nearest
from bci_m2s.text import quoted

OPTION = re.compile(r"\{\s*([^{}:]*?)\s*:([^{}]*)\}")
OPTIONS = ("root", "template", "task", "run", "participant", "session", "acquisition", "modality")
DEFAULTS = {
    "task": "Default",
    "run": "1",
    "participant": "P001",
    "session": "S001",
    "acquisition": "",
    "modality": "eeg",
}
PLACEHOLDERS = {
    "b": "task",
    "p": "participant",
    "s": "session",
    "a": "acquisition",
    "m": "modality",
    "r": "run",
    "n": "run",
}
BIDS = "sub-%p/ses-%s/eeg/sub-%p_ses-%s_task-%b{acq}_run-%r_eeg.xdf"
MOST_PARTS, LONGEST_PART = 8, 120  # folders deep, characters
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices of Windows


class FileName:
    """What clients have said so far; as in LabRecorder, an option stays until it is said again."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def take(self, text: str) -> tuple[str, str]:
        """Take options, all or none of them.

        text : ``{task:rest} {run:2} …``

        Returns
        -------
        The folder, relative to the session's, with "/" between its parts; and a remark, "" for none

        Raises
        ------
        CommandError
            Not an option of LabRecorder's, a run that is no number, or a path that leads out.
        """
        options = OPTION.findall(text)
        rest = OPTION.sub("", text).strip()
        if not options or rest:
            raise CommandError(f"filename: got {quoted(rest or text)}, expected {{option:value}} …")
        said = dict(self._said)
        for name, value in options:
            if name.casefold() not in OPTIONS:
                raise CommandError(f"filename: got option {quoted(name)}{nearest(name, OPTIONS)}")
            said[name.casefold()] = value.strip()
        folder, remark = _folder(said)
        self._said = said
        return folder, remark


def _folder(said: dict[str, str]) -> tuple[str, str]:
    root, remark = said.get("root", ""), ""
    if root and (PureWindowsPath(root).drive or root.startswith(("/", "\\", "~"))):
        remark = f"root {quoted(root)} is not used: recordings stay in the session's folder"
        root = ""
    path = _filled(said.get("template", ""), {**DEFAULTS, **said})
    parts = [*_parts(root), *_parts(path)]
    if len(parts) > MOST_PARTS:
        raise CommandError(f"filename: got {len(parts)} folders, expected {MOST_PARTS} at most")
    return "/".join(parts), remark


def _filled(template: str, values: dict[str, str]) -> str:
    """A template with its placeholders replaced; "" is BIDS. Raises CommandError."""
    run = values["run"]
    if not re.fullmatch(r"[0-9]{1,6}", run):
        raise CommandError(f"filename: run: got {quoted(run)}, expected a number")
    if not template:
        template = BIDS.replace("{acq}", "_acq-%a" if values["acquisition"] else "")
    values = {**values, "run": f"{int(run):03d}"}

    def value(found: re.Match[str]) -> str:
        name = PLACEHOLDERS.get(found[1].casefold())
        if name is None:
            raise CommandError(
                f"filename: template: got {found[0]!r}, expected one of %b %p %s %a %m %r %n"
            )
        return re.sub(r"[/\\]", "_", values[name])

    path = re.sub(r"%(.)", value, template)
    return re.sub(r"\.xdf$", "", path, flags=re.IGNORECASE)


def _parts(path: str) -> list[str]:
    """The folders of a relative path, each a plain name. Raises CommandError."""
    if PureWindowsPath(path).drive or path.startswith(("/", "\\", "~")):
        raise CommandError(f"filename: got {quoted(path)}, expected a path inside the session's folder")
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if ".." in parts:
        raise CommandError(f"filename: got {quoted(path)}, expected a path without '..'")
    return [_plain(part) for part in parts]


def _plain(part: str) -> str:
    """A name that every system takes: letters, digits, and ``- _ . + =``; others become ``_``."""
    name = "".join(sign if sign.isalnum() or sign in "-_.+=" else "_" for sign in part.strip())
    name = name[:LONGEST_PART].strip(".") or "_"
    return f"_{name}" if RESERVED.fullmatch(name) else name
