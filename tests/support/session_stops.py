"""Faults that end a session: signals, kill -9, a disk that stays full.

The sessions are the real command, ``bci-m2s run``, in processes of their own, several at once on the same
senders. Their recordings are compared with the promises.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from bci_m2s.errors import StreamError
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.recovery import recover
from bci_m2s.review.verify import verify
from bci_m2s.session.terminal.run import FORCED_STATUS
from bci_m2s.soak.accounts import settle_accounts
from bci_m2s.soak.fault_sender import FaultSender
from bci_m2s.soak.fault_spec import Sent
from bci_m2s.soak.rig import RATE_HZ, SPARE, sender_spec, write_pipeline

STOP_S = 2.0  # promised: a valid file within this time
CRASH_LOSS_S = 0.5  # promised
READY_S = 240.0  # until a session reaches a phase; it has to load the network first
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
PHASES = ("waiting", "settling", "estimating")
LARGEST_BYTES = 100_000
FOOTER = b"<sample_count>"
# Sessions are forked from a process that has loaded what takes longest: torch alone takes longer than all
# that a session does here. That the program starts and ends as a whole: tests/panel/test_end_to_end.py.
SESSIONS = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
SESSIONS.set_forkserver_preload(["torch", "scipy.signal", "bci_m2s.commands.cli"])


def _program(arguments: list[str], log: Path) -> None:
    """``python -m bci_m2s ARGUMENTS``; what it prints goes to a file."""
    with log.open("wb") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    os.environ |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    sys.argv = ["bci-m2s", *arguments]
    runpy.run_module("bci_m2s", run_name="__main__")


class Child:
    """``bci-m2s run`` in a process of its own; a context manager that kills it if it still runs.

    Parameters
    ----------
    pipeline : file
    output : folder of its results, new
    largest_bytes : limit of each of its files; 0 for none
    """

    def __init__(self, pipeline: Path, output: Path, largest_bytes: int = 0) -> None:
        self.output, self.log = output, output.with_suffix(".log")
        self.log.touch()
        arguments = ["run", str(pipeline), "--output", str(output)]
        self.process = SESSIONS.Process(target=_program, args=(arguments, self.log))
        self.process.start()
        if largest_bytes:
            import resource

            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (largest_bytes, largest_bytes))

    @property
    def recording(self) -> Path:
        """The file that it records."""
        return self.output / "session.xdf"

    def text(self) -> str:
        """What it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def has_reached(self, phase: str) -> bool:
        """Whether a phase is reached: it waits for streams, records without estimates, or makes them."""
        if phase == "waiting":
            return "model 'rig'" in self.text()
        table = self.output / "estimates.csv"
        lines = table.read_text(encoding="utf-8").splitlines()[1:] if table.exists() else []
        return bool(lines) if phase == "settling" else any(",ok," in line for line in lines)

    def wait_for(self, phase: str) -> None:
        """Wait until a phase is reached. Raises StreamError with its log when it is not."""
        until_s = time.monotonic() + READY_S
        while not self.has_reached(phase):
            if time.monotonic() > until_s or self.process.exitcode is not None:
                raise StreamError(f"session: not {phase} in time: {self.text()[-500:]}")
            time.sleep(0.02)

    def wait(self) -> int:
        """Wait for its end; the status, -9 when it had to be killed."""
        self.process.join(READY_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        return int(self.process.exitcode or 0)

    def send(self, kind: int) -> None:
        """Send a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, kind)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


class Stand:
    """Senders and a pipeline file for a series of sessions; a context manager.

    folder : empty; seed : of the senders' noise
    patience : factor on the promised times
    """

    def __init__(self, folder: Path, seed: int = 0, patience: float = 1.0) -> None:
        self.folder, self.patience = folder, patience
        prefix = f"stand-{secrets.token_hex(4)}"
        names = {SPARE: f"{prefix}-{SPARE}", "markers": f"{prefix}-markers"}
        spec = sender_spec(names[SPARE], SPARE, seed, names["markers"])
        self.sender = FaultSender(spec)
        self.sent = {SPARE: self.sender.sent}
        self.pipeline = write_pipeline(folder, (SPARE,), "each", names)
        nobody = folder / "nobody"
        nobody.mkdir()
        absent = dict.fromkeys(names, f"{prefix}-never")
        self.waiting_pipeline = write_pipeline(nobody, (SPARE,), "each", absent)

    def __enter__(self) -> Stand:
        self.sender.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.sender.close()

    def session(self, waits: bool = False, largest_bytes: int = 0) -> Child:
        """A new session; `waits`: for a stream that never comes."""
        pipeline = self.waiting_pipeline if waits else self.pipeline
        return Child(pipeline, self.folder / f"session-{secrets.token_hex(4)}", largest_bytes)


def _by_signal(stand: Stand, name: str, phase: str) -> list[str]:
    """One signal: a whole file within two seconds, status 0, a summary, estimates that are reproduced."""
    broken, waits = [], phase == "waiting"
    with stand.session(waits) as child:
        child.wait_for(phase)
        child.send(getattr(signal, name))
        started_s = time.monotonic()
        if not waits and not _footers(child, started_s + STOP_S * stand.patience):
            broken.append(f"no whole file within {STOP_S:g} s")
        status = child.wait()
    if status != 0:
        broken.append(f"status: got {status}, expected 0")
    if waits and child.recording.exists():
        broken.append("a recording without a session")
    if not waits and '"stopped"' not in (child.output / "events.jsonl").read_text(encoding="utf-8"):
        broken.append("no event 'stopped'")
    if not waits and "Summary" not in child.text():
        broken.append("no summary")
    return broken if waits else broken + check_recording(child.recording, stand.sent)


def _footers(child: Child, until_s: float) -> bool:
    while time.monotonic() < until_s:
        with suppress(OSError):
            if FOOTER in child.recording.read_bytes()[-4000:]:
                return True
        time.sleep(0.02)
    return False


def _by_a_second_signal(stand: Stand) -> list[str]:
    """A second signal ends a session at once, with a status of its own."""
    with stand.session() as child:
        child.wait_for("estimating")
        for kind in (signal.SIGINT, signal.SIGTERM):  # two of a kind that come at once are one
            child.send(kind)
        status = child.wait()
    return [] if status == FORCED_STATUS else [f"status: got {status}, expected {FORCED_STATUS}"]


def _by_a_kill(stand: Stand) -> list[str]:
    """Kill -9 during a session: at most half a second is lost, and the recovered file replays."""
    with stand.session() as child:
        child.wait_for("estimating")
        child.process.kill()
        child.process.join()
        _, pushed = stand.sender.pushed()
    copy = recover(child.recording).out
    if copy is None:
        return ["the file is complete, although the session was killed"]
    broken = check_recording(copy, stand.sent)
    lost_s = (pushed - 1 - _newest_counter(copy, stand.sent)) / RATE_HZ
    if lost_s > CRASH_LOSS_S * stand.patience:
        broken.append(f"{lost_s:.2f} s lost, expected at most {CRASH_LOSS_S:g} s")
    return broken


def _newest_counter(path: Path, sent: dict[str, Sent]) -> int:
    name = sent[SPARE].specs[0].name
    (stream,) = [stream for stream in open_recording(path).raw_streams if stream.info.name == name]
    return int(stream.read(stream.n_samples - 1, stream.n_samples)[0, 0])


def _by_a_full_disk(stand: Stand) -> list[str]:
    """No file may grow beyond a limit: reported, the session continues, the status is not 0."""
    broken = []
    with stand.session(largest_bytes=LARGEST_BYTES) as child:
        child.wait_for("estimating")
        until_s = time.monotonic() + READY_S
        while "File too large" not in child.text() and time.monotonic() < until_s:
            time.sleep(0.05)
        if "File too large" not in child.text():
            broken.append("not reported")
        if child.process.exitcode is not None:
            broken.append("the session did not continue")
        child.send(signal.SIGINT)
        status = child.wait()
    if status == 0:
        broken.append("status: got 0, expected another")
    whole = recover(child.recording).out or child.recording
    return broken + check_recording(whole, stand.sent, replay=False)


def check_recording(path: Path, sent: dict[str, Sent], replay: bool = True) -> list[str]:
    """The broken promises of a finished recording: its accounts and, with `replay`, its estimates."""
    accounts = settle_accounts(path, sent)
    broken = [promise for account in accounts for promise in account.broken]
    if any(account.recorded == 0 for account in accounts):
        broken.append("nothing recorded")
    if replay:
        result = verify(path, model=str(_model_beside(path)))
        if result.first is not None:
            broken.append(f"verify: {result.first.describe()}")
    return broken


def _model_beside(path: Path) -> Path:
    models = [folder / "rig.safetensors" for folder in (path.parent, path.parent.parent)]
    return next(model for model in models if model.exists())


STOPS: Mapping[str, Callable[[Stand], list[str]]] = {
    **{
        f"{name} while {phase}": partial(_by_signal, name=name, phase=phase)
        for phase in PHASES
        for name in SIGNALS
    },
    "a second signal": _by_a_second_signal,
    "kill -9": _by_a_kill,
    "a disk that stays full": _by_a_full_disk,
}
