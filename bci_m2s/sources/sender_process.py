"""A sender in a process of its own, which cannot outlive the process that started it.

The child, ``python -m bci_m2s.sources.sender_process SPEC``, sends until its standard input closes, and
the system closes that in whatever way the parent ends. It answers on its standard output in lines of JSON.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import IO, Any

from bci_m2s.errors import BciM2sError, StreamError
from bci_m2s.lsl.configuration import inherit
from bci_m2s.sources import Source
from bci_m2s.types import StreamInfo

CHUNK_S = 0.01  # of the simulated streams


@dataclass(frozen=True)
class SenderSpec:
    """What a sender process sends: a recording, or a simulated person.

    recording : file to play; "" for none
    streams : names or types of its streams; of a simulation "eeg", "eye", "markers"; () for all
    speed, loops : as for ``ReplaySource``
    simulated : fields of ``SimulatorSettings``, when no recording is given
    subject, session : whom to simulate, and when
    wait_s : how long to wait for consumers of all streams before the first sample, s
    duration_s : None: to the end
    tag : as for ``Sender``
    """

    recording: str = ""
    streams: tuple[str, ...] = ()
    speed: float = 1.0
    loops: int = 1
    simulated: dict[str, Any] = field(default_factory=dict)
    subject: int = 0
    session: int = 0
    wait_s: float = 0.0
    duration_s: float | None = None
    tag: str | None = None


def make_sources(spec: SenderSpec, clock: Callable[[], float]) -> list[Source]:
    """Return the sources that a spec asks for, paced with the LSL clock.

    Raises RecordingError, ConfigurationError.
    """
    if spec.recording:
        from bci_m2s.sources.replay import open_recording, replay_sources

        streams = open_recording(spec.recording).pick(spec.streams)
        return list(replay_sources(streams, speed=spec.speed, loops=spec.loops, clock=clock))
    return _simulated_sources(spec, clock)


def _simulated_sources(spec: SenderSpec, clock: Callable[[], float]) -> list[Source]:
    from bci_m2s.simulator import SimulatorSettings
    from bci_m2s.sources.simulated import STREAMS, SimulatedSource
    from bci_m2s.sources.timeline import Timeline

    fields: dict[str, Any] = dict(spec.simulated)
    for key, value in fields.items():
        fields[key] = tuple(value) if isinstance(value, list) else value  # JSON knows no tuples
    timeline = Timeline(clock=clock)
    return [
        SimulatedSource(
            SimulatorSettings(**fields),
            stream=stream,
            subject=spec.subject,
            session=spec.session,
            speed=spec.speed,
            chunk_s=CHUNK_S,
            timeline=timeline,
        )
        for stream in spec.streams or STREAMS
    ]


class SenderProcess:
    """A sender in a process of its own. It ends when told, when its sources end, or when this process does.

    Parameters
    ----------
    spec : what to send
    ready_s : how long the streams may take to be offered, s
    """

    def __init__(self, spec: SenderSpec, ready_s: float = 30.0) -> None:
        self._spec, self._ready_s = spec, ready_s
        self._child: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader: threading.Thread | None = None
        self.infos: tuple[StreamInfo, ...] = ()  # as sent, once started
        self.sent: tuple[int, ...] = ()  # samples per stream, once stopped; () when it had to be killed

    def __enter__(self) -> SenderProcess:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id, None before it was started."""
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it and wait until its streams are offered. Raises StreamError when they never are."""
        command = [sys.executable, "-m", "bci_m2s.sources.sender_process", json.dumps(asdict(self._spec))]
        # one thread: a sender's matrices are small, and it must not take the cores of whoever listens
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ}
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        self._reader = threading.Thread(target=self._read, args=(self._child.stdout,), daemon=True)
        self._reader.start()
        try:
            said = self._lines.get(timeout=self._ready_s)
        except queue.Empty:
            said = {"error": f"no stream was offered within {self._ready_s:g} s"}
        except BaseException:
            self.stop()
            raise
        if "ready" not in said:
            self.stop()
            raise StreamError(f"sender process: {said.get('error', 'ended before it offered a stream')}")
        self.infos = tuple(
            StreamInfo(**{**one, "labels": tuple(one["labels"]), "units": tuple(one["units"])})
            for one in said["ready"]
        )

    def wait(self, timeout_s: float) -> bool:
        """Wait for it to end by itself; false when the time was up first."""
        if self._child is None:
            return True
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it: by its standard input, by force when that takes too long. Harmless when called twice."""
        child, self._child = self._child, None
        if child is None or child.stdin is None or child.stdout is None or self._reader is None:
            return
        try:
            child.stdin.close()
            child.wait(timeout_s)
        except (subprocess.TimeoutExpired, OSError):
            child.kill()
            child.wait()
        finally:
            self._reader.join()
            child.stdout.close()
        while not self._lines.empty():
            self.sent = tuple(self._lines.get_nowait().get("sent", self.sent))

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            if line.startswith("{"):  # a library may print too
                self._lines.put(json.loads(line))
        self._lines.put({})


def main(arguments: Sequence[str]) -> int:
    """Run the child process: send what the spec (JSON, the only argument) says until stdin closes."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    signal.signal(signal.SIGTERM, on_signal)
    threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()
    inherit()
    try:
        from bci_m2s.sources.lsl import local_clock
        from bci_m2s.sources.sender import Sender  # here, so that the parent does not load liblsl for this

        fields = json.loads(arguments[0])
        spec = SenderSpec(**{**fields, "streams": tuple(fields.get("streams", ()))})
        with Sender(make_sources(spec, local_clock), tag=spec.tag) as sender:
            _say({"ready": [asdict(info) for info in sender.infos]})
            if spec.wait_s:
                sender.wait_for_consumers(spec.wait_s, stop)
            _say({"sent": sender.run(spec.duration_s, stop)})
    except BciM2sError as problem:
        _say({"error": str(problem)})
        return 2
    return 0


def _watch_stdin(stop: threading.Event) -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would outlive this thread and crash the shutdown
        pass
    stop.set()


def _say(message: dict[str, Any]) -> None:
    try:
        print(json.dumps(message), flush=True)
    except BrokenPipeError:  # the parent is gone, which ends us by stdin; nothing may fail at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
