"""A sender in a process of its own, which cannot outlive the process that started it.

The child is ``python -m bci_m2s.sources.sender_process SPEC``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bci_m2s.errors import BciM2sError
from bci_m2s.lsl.child import JsonChild, Message, begin, emit
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
        from bci_m2s.recording.recorded import open_recording
        from bci_m2s.sources.replay import replay_sources

        streams = open_recording(spec.recording).pick(spec.streams)
        return list(replay_sources(streams, speed=spec.speed, loops=spec.loops, clock=clock))
    from bci_m2s.simulator import SimulatorSettings
    from bci_m2s.sources.simulated import USUAL, SimulatedSource
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
        for stream in spec.streams or USUAL
    ]


class SenderProcess(JsonChild):
    """A sender in a process of its own. It ends by ``stop``, with its sources, or with this process.

    Parameters
    ----------
    spec : what to send
    ready_s : how long the streams may take to be offered, s

    Attributes
    ----------
    infos : streams as sent
    sent : samples per stream, once stopped; () when it had to be killed

    Raises
    ------
    StreamError
        The streams were not offered in time, or cannot be; the message says why.
    """

    def __init__(self, spec: SenderSpec, ready_s: float = 60.0) -> None:
        super().__init__("sender process", ["bci_m2s.sources.sender_process", json.dumps(asdict(spec))])
        self.sent: tuple[int, ...] = ()
        try:
            infos = self.receive(ready_s)["ready"]
        except BaseException:
            self.stop()
            raise
        self.infos = tuple(
            StreamInfo(**{**info, "labels": tuple(info["labels"]), "units": tuple(info["units"])})
            for info in infos
        )

    def stop(self, timeout_s: float = 5.0) -> list[Message]:
        """End it, see ``JsonChild.stop``, and note what was sent."""
        messages = super().stop(timeout_s)
        for message in messages:
            self.sent = tuple(message.get("sent", self.sent))
        return messages


def main(arguments: Sequence[str]) -> int:
    """Run the child process: send what the spec (JSON, the only argument) says until the parent ends it."""
    stop = begin()
    try:
        from bci_m2s.lsl.network import local_clock
        from bci_m2s.sources.sender import Sender  # here, so that the parent does not load liblsl for this

        fields = json.loads(arguments[0])
        spec = SenderSpec(**{**fields, "streams": tuple(fields.get("streams", ()))})
        with Sender(make_sources(spec, local_clock), tag=spec.tag) as sender:
            emit({"ready": [asdict(info) for info in sender.infos]})
            if spec.wait_s:
                sender.wait_for_consumers(spec.wait_s, stop)
            emit({"sent": sender.run(spec.duration_s, stop)})
    except BciM2sError as problem:
        emit({"error": str(problem)})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
