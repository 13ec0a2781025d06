"""A real LSL sender in a process of its own that stops, freezes, restarts, lies and floods on command.

The child, ``python -m bci_m2s.soak.fault_sender SPEC``, replies to each command with the sample numbers
from which and up to which it takes effect. What it pushed is counted in a small shared file, so
that it is known after a SIGKILL too.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from mmap import mmap
from typing import Any

import numpy as np
import pylsl

from bci_m2s.errors import StreamError
from bci_m2s.lsl.child import JsonChild, begin, emit
from bci_m2s.lsl.outlet import make_outlet
from bci_m2s.soak.fault_spec import FaultSpec, Sent
from bci_m2s.soak.faulty_stream import FaultyStream
from bci_m2s.sources.sender import BUFFERED_S
from bci_m2s.types import MARKER_TYPE, StreamInfo

TICK_S = 0.04  # a headset sends chunks, too
LINGER_S = 0.3  # what is in flight dies with the outlet, and LSL does not tell when all has arrived
MOST_AT_ONCE = 8192  # samples in one push
COUNT = struct.Struct("<q")  # samples pushed, in the shared file


class FaultSender:
    """A fault sender as the parent sees it; a context manager.

    Parameters
    ----------
    spec : what it sends
    ready_s : how long a start may take, s
    reply_s : how long a reply may take, s
    environment : added to the child's; another LSLAPICFG for a sender of another session, for instance

    Attributes
    ----------
    spec : of the newest run
    uid : of the newest run's stream
    sent : what all runs sent
    """

    def __init__(
        self,
        spec: FaultSpec,
        ready_s: float = 60.0,
        reply_s: float = 10.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.spec, self.uid = spec, ""
        self._environment = environment
        self.sent = Sent({spec.run: spec})
        self._ready_s, self._reply_s = ready_s, reply_s
        self._child: JsonChild | None = None
        self._count = tempfile.TemporaryFile(prefix="bci_m2s-sent-")  # noqa: SIM115 (kept open)
        self._clear_count()

    def __enter__(self) -> FaultSender:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it for good. Harmless when called twice."""
        self.stop()
        self._count.close()

    @property
    def pid(self) -> int:
        """Process id. Raises StreamError when it does not run."""
        return self._running().pid

    def start(self) -> None:
        """Start it and wait until its stream is offered. Raises StreamError when that fails."""
        if self._child is not None:
            raise StreamError(f"fault sender {self.spec.name!r}: runs already")
        self._clear_count()
        handle = self._count.fileno()
        command = ["bci_m2s.soak.fault_sender", json.dumps(asdict(self.spec)), str(handle)]
        name = f"fault sender {self.spec.name!r}"
        self._child = JsonChild(name, command, self._environment, [handle])
        try:
            self.uid = self._child.receive(self._ready_s)["uid"]
        except BaseException:
            self.stop()
            raise

    def command(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Let it do something, and return its reply: "first" and "last", sample numbers [first, last).

        Lies: those of ``FaultyStream``. Besides: ``empty_chunk``; ``marker`` (text), ``big_marker``
        (n_bytes), ``bad_marker`` (not UTF-8), whose reply has "markers", how many there were;
        ``consumers``, whether anyone listens; ``state``, with "made", "pushed" and "skipped".

        Raises
        ------
        StreamError
            When it does not run, does not reply (it is frozen, for instance) or cannot do it.
        """
        return self._running().request({"command": name, **arguments}, self._reply_s)

    def pushed(self) -> tuple[int, int]:
        """The newest run, and how many samples it has pushed. After a kill one more chunk may have gone."""
        return self.spec.run, COUNT.unpack(os.pread(self._count.fileno(), COUNT.size, 0))[0]

    def freeze(self) -> None:
        """SIGSTOP: everything stands still, and nobody is notified."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on, with all samples that fell due meanwhile at once."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: it is gone with what was in flight."""
        child, self._child = self._running(), None
        child.kill()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it by its standard input, by force when that takes too long. Harmless when called twice."""
        child, self._child = self._child, None
        if child is not None:
            child.process.send_signal(signal.SIGCONT)  # a frozen one could not end
            child.stop(timeout_s)

    def restart(self, refused: bool = False, **changes: Any) -> None:
        """Start the next run, with changed fields of the spec; a run that goes on is ended first.

        refused : its samples must never make an estimate
        """
        self.stop()
        run, pushed = self.pushed()
        self.sent.pushed[run] = pushed
        self.spec = replace(self.spec, run=run + 1, **changes)
        self.sent.add(self.spec, refused)
        self.start()

    def _clear_count(self) -> None:
        os.pwrite(self._count.fileno(), COUNT.pack(0), 0)

    def _running(self) -> JsonChild:
        if self._child is None:
            raise StreamError(f"fault sender {self.spec.name!r}: does not run")
        return self._child


# ---- the child ----


class _Child:
    """The sending side: one thread sends and replies, another one reads commands."""

    def __init__(self, spec: FaultSpec, count: mmap) -> None:
        self._spec, self._count = spec, count
        self._outlet = make_outlet(spec.info(), BUFFERED_S)
        source_id = f"{spec.source_id or spec.name}-markers"
        markers = StreamInfo(
            spec.marker_name, MARKER_TYPE, source_id, labels=("",), units=("",), channel_format="string"
        )
        self._marker_outlet = make_outlet(markers, BUFFERED_S) if spec.marker_name else None
        self._stream: FaultyStream | None = None
        self._begun_s = pylsl.local_clock()
        self.pushed = self.markers = 0
        self.uid = self._outlet.get_info().uid()

    def run(self, commands: queue.Queue[dict[str, Any]], stop: threading.Event) -> None:
        """Send until `stop` is set."""
        while not stop.is_set():
            while not commands.empty():
                emit(self._obey(commands.get()))
            self._send()
            stop.wait(TICK_S)
        until_s = pylsl.local_clock() + LINGER_S
        while self._outlet.have_consumers() and pylsl.local_clock() < until_s:
            time.sleep(TICK_S)

    def _send(self) -> None:
        now_s = pylsl.local_clock()
        if self._stream is None:
            if not self._outlet.have_consumers() and now_s - self._begun_s < self._spec.wait_s:
                return
            self._stream = FaultyStream(self._spec, now_s)
        stamps, samples = self._stream.take(now_s)
        for start in range(0, len(stamps), MOST_AT_ONCE):
            part = slice(start, start + MOST_AT_ONCE)
            self._outlet.push_chunk(np.ascontiguousarray(samples[part]), stamps[part].tolist())
            self.pushed += len(stamps[part])
        COUNT.pack_into(self._count, 0, self.pushed)

    def _obey(self, command: dict[str, Any]) -> dict[str, Any]:
        name = str(command.pop("command", ""))
        try:
            if name.endswith("marker"):
                return self._send_marker(name, **command)
            if self._stream is None:
                raise StreamError("sample 0 still waits for a consumer")
            if name == "state":
                made = self._stream.made
                skipped = [(a, min(b, made)) for a, b in self._stream.skipped if a < made]
                return {"made": made, "pushed": self.pushed, "skipped": skipped}
            if name == "empty_chunk":
                self._outlet.push_chunk([], 0.0)
                return {"first": self._stream.made, "last": self._stream.made}
            first, last = self._stream.command(name, pylsl.local_clock(), **command)
            return {"first": first, "last": last}
        except (StreamError, TypeError) as problem:
            return {"error": str(problem)}

    def _send_marker(self, name: str, text: str = "", n_bytes: int = 5_000_000) -> dict[str, Any]:
        contents: dict[str, str | bytes] = {
            "marker": text,
            "big_marker": "x" * int(n_bytes),
            "bad_marker": b"\xff\xfe\x80 no UTF-8",
        }
        if self._marker_outlet is None or name not in contents:
            raise StreamError(f"{name}: the spec names no marker stream, or there is no such command")
        self._marker_outlet.push_sample([contents[name]], pylsl.local_clock())
        self.markers += 1
        return {"markers": self.markers}


def main(arguments: Sequence[str]) -> int:
    """Run the child: the spec as JSON, and the number of the open file that takes the count."""
    commands: queue.Queue[dict[str, Any]] = queue.Queue()
    stop = begin(commands.put)
    fields = json.loads(arguments[0])
    spec = FaultSpec(**{**fields, "labels": tuple(fields["labels"]), "units": tuple(fields["units"])})
    with mmap(int(arguments[1]), COUNT.size) as count:
        child = _Child(spec, count)
        emit({"uid": child.uid})
        child.run(commands, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
