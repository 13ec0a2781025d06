"""Clips, sounds and pictures, shown by mpv: onset and end to within a frame, and how sure that is.

mpv reports each frame's time in the clip when it shows it; the clip began at the median of arrival - time
over frames 4 to 50 (``frames.py``), and ended one frame after its last. A picture began when mpv said that
it is visible. A new mpv replaces one that has ended.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bci_m2s.errors import ConfigurationError
from bci_m2s.session.protocol.clip_check import missing_programs, problem_of
from bci_m2s.session.protocol.mpv_item import OBSERVED, MpvItem
from bci_m2s.session.protocol.mpv_process import MpvProcess, PlayerGone
from bci_m2s.session.protocol.stimulus import Shown
from bci_m2s.text import quoted

# Nothing but the item on the screen, no key that does anything, no files but the item's own.
FIXED = (
    "--no-config",
    "--idle=yes",
    "--keep-open=yes",
    "--keep-open-pause=no",
    "--image-display-duration=inf",
    "--video-timing-offset=0",  # else a frame is reported up to 50 ms before it is shown
    "--osd-level=0",
    "--no-osc",
    "--audio-display=no",
    "--cursor-autohide=always",
    "--title=stimulus",
    "--input-default-bindings=no",
    "--input-vo-keyboard=no",
    "--input-media-keys=no",
    "--input-terminal=no",
    "--load-scripts=no",
    "--ytdl=no",
    "--autoload-files=no",
    "--access-references=no",
    "--resume-playback=no",
    "--msg-level=all=error",
    "--volume-max=100",
)
OURS = re.compile(
    r"(no-)?(config.*|idle|keep-open.*|scripts?|script-opts|include|profile|input-ipc-.*|length|pause|video-timing-offset|"
    r"image-display-duration|(end|start|loop|loop-file)|msg-level|really-quiet|quiet|log-file)"
)
OPTION = re.compile(r"--([a-z0-9][a-z0-9-]*)(=[^\0]*)?")


class Mpv:
    """A stimulus that mpv shows. mpv starts with the first item, and stays.

    Parameters
    ----------
    clock : LSL's, s
    folder : where the paths of items begin
    screen : number of the screen, from 0; None: the system's choice
    fullscreen : or a window
    keep_window : black between items; else closed then, and what is behind it is seen
    volume : of the sound, 0 to 100 %
    options : more options of mpv, each ``--name`` or ``--name=value``
    program : mpv's name, and arguments before all others

    Raises
    ------
    ConfigurationError
        An option is none, or would take mpv out of this class's hands.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        folder: Path,
        screen: int | None = None,
        fullscreen: bool = True,
        *,
        keep_window: bool = False,
        volume: float = 100.0,
        options: Sequence[str] = (),
        program: Sequence[str] = ("mpv",),
    ) -> None:
        self._clock, self._folder, self._program = clock, folder, program
        self._options = [
            *FIXED,
            f"--fullscreen={'yes' if fullscreen else 'no'}",
            f"--force-window={'immediate' if keep_window else 'no'}",
            f"--volume={volume:g}",
            *([] if screen is None else [f"--screen={screen}", f"--fs-screen={screen}"]),
            *map(_allowed, options),
        ]
        self._player: MpvProcess | None = None

    def check(self, items: Iterable[tuple[str, float | None]]) -> list[str]:
        """Whether mpv is there, and every clip whole; see `Stimulus.check`."""
        if problems := missing_programs(self._program[0]):
            return problems
        found = (problem_of(self._folder / item, duration_s) for item, duration_s in dict.fromkeys(items))
        return [problem for problem in found if problem]

    def present(
        self,
        item: str,
        duration_s: float | None,
        interrupted: threading.Event,
        on_onset: Callable[[float], None],
    ) -> Shown:
        """Show a clip, sound or picture; see `Stimulus.present`. A picture needs a duration."""
        try:
            player = self._running()
        except PlayerGone as problem:
            return Shown(flags=(str(problem),), completed=False)
        showing = MpvItem(player, self._clock, duration_s, on_onset)
        try:
            showing.show((self._folder / item).absolute(), interrupted)
        except PlayerGone as problem:
            player.kill()
            self._player = None
            return showing.result(str(problem))
        return showing.result()

    def close(self) -> None:
        """End mpv."""
        if self._player is not None:
            self._player.close()
            self._player = None

    def _running(self) -> MpvProcess:
        if self._player is not None and self._player.has_ended:
            self._player.kill()
            self._player = None
        if self._player is None:
            self._player = MpvProcess(self._program, self._options, self._clock)
            for number, name in OBSERVED.items():
                self._player.observe(number, name)
        return self._player


def _allowed(option: str) -> str:
    found = OPTION.fullmatch(option)
    if not found:
        raise ConfigurationError(f"mpv: options: got {quoted(option)}, expected --name or --name=value")
    if OURS.fullmatch(found[1]):
        raise ConfigurationError(
            f"mpv: options: got {quoted(option)}, which bci-m2s sets itself: leave it out"
        )
    return option
