"""Processes of the benchmark of many machines: the room with its switch, and the programs of each machine.

A machine is a network namespace with a host name and an address of its own; the room is one more, with a
bridge that all of them are connected to. No namespace has a name: each exists as long as a process in it,
and the room's processes have a process namespace whose first process is the room. Whoever kills that one,
in whatever way, leaves nothing behind.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bci_m2s.lsl.child import JsonChild, Message, begin, emit
from bci_m2s.lsl.configuration import OWN

MODULE = "beyond_one_machine_child"
NEW_NETWORK, NEW_HOST_NAME = 0x40000000, 0x04000000  # CLONE_NEWNET, CLONE_NEWUTS of linux/sched.h
SUBNET = "10.77"  # the address of machine 3 is 10.77.0.4
REPLY_S = 100.0
EVERY_S = 0.1  # between two looks, as the engine takes them
PUSH_EVERY_S = 0.25  # four samples a second of every outlet, as estimates come
SAMPLE_S = 10.0  # to wait for the first one of an inlet
NO_TIME_S = 0.001
OPEN_S = 30.0  # after this no further one is connected to
KNOWN_S = 0.05  # between two looks until everybody is found


# ---- the room: runs as the first process of its namespaces ----


class Room:
    """A switch and the machines that are connected to it.

    Parameters
    ----------
    configurations : of LSL, of each machine
    """

    def __init__(self, configurations: Sequence[str]) -> None:
        ip("link", "add", "switch", "type", "bridge")
        ip("link", "set", "switch", "up")
        self.machines: list[JsonChild] = []
        self.lookers: list[JsonChild] = []
        for number, text in enumerate(configurations):
            machine = program(["machine", str(number)], text)
            self.machines.append(machine)
            self._connect(number, machine.receive(REPLY_S)["pid"])
            machine.request({"do": "connect", "number": number}, REPLY_S)

    def _connect(self, number: int, pid: int) -> None:
        port = f"port{number}"
        ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        ip("link", "set", port, "master", "switch", "up")

    def start_lookers(self, configurations: Sequence[str]) -> None:
        """A second program on each machine, which looks for streams as an engine does."""
        for machine, text in zip(self.machines, configurations, strict=True):
            self.lookers.append(program(["looker", str(machine.pid)], text))
        for looker in self.lookers:
            looker.receive(REPLY_S)

    def ask(self, programs: Sequence[JsonChild], messages: Sequence[Message]) -> list[Message]:
        """Tell every program its message at once; returns the replies."""
        with ThreadPoolExecutor(max(1, len(programs))) as pool:
            return list(pool.map(lambda one, what: one.request(what, REPLY_S), programs, messages))

    def end(self) -> None:
        """End every program."""
        with ThreadPoolExecutor(64) as pool:
            list(pool.map(lambda one: one.stop(), [*self.lookers, *self.machines]))


def program(arguments: list[str], text: str) -> JsonChild:
    """Start a program whose LSL is configured by a text."""
    return JsonChild(" ".join(arguments), [MODULE, *arguments], {OWN: text})


def ip(*words: str) -> None:
    """``ip`` of iproute2. Raises RuntimeError with its words."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def in_room(spec: Mapping[str, Any]) -> Message:
    """Everything that is measured in a room of machines.

    spec : configurations of LSL by machine, ``people`` of each, streams of a person, seconds to watch,
        longest time to look, to how many of its people each looker connects, and how many machines further
        (``away``) those are
    """
    room = Room(spec["configurations"])
    people = [
        [f"m{number:02}-p{one:02}" for one in range(spec["people"])] for number in range(spec["machines"])
    ]
    offers = [{"do": "offer", "people": some, "streams": spec["streams"]} for some in people]
    offered = room.ask(room.machines, offers)
    configurations = spec["configurations"]
    room.start_lookers([*configurations[spec["away"] :], *configurations[: spec["away"]]])
    before = room.ask(room.machines, [{"do": "count"}] * len(people))
    others = people[spec["away"] :] + people[: spec["away"]]  # whose people each machine looks for
    looks = [{"do": "look", "people": some, **take(spec, "streams", "longest_s")} for some in others]
    found = room.ask(room.lookers, looks)
    between = room.ask(room.machines, [{"do": "count"}] * len(people))
    watched = room.ask(room.lookers, [{"do": "watch", "seconds": spec["seconds"]}] * len(people))
    after = room.ask(room.machines, [{"do": "count"}] * len(people))
    opened = room.ask(room.lookers, [{"do": "open", "most": spec["inlets"]}] * len(people))
    room.end()
    counts = {"before": before, "between": between, "after": after}
    return {"offered": offered, "found": found, "watched": watched, "opened": opened, **counts}


def take(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Some of the values."""
    return {name: values[name] for name in names}


# ---- the programs of a machine ----


class Machine:
    """Offers the streams of its people, and counts what its network carried."""

    def __init__(self) -> None:
        self._outlets: list[Any] = []
        threading.Thread(target=self._push, daemon=True).start()

    def do_connect(self, number: int) -> Message:
        """Address of the machine on the switch."""
        address = f"{SUBNET}.{(number + 1) // 256}.{(number + 1) % 256}/16"
        ip("addr", "add", address, "broadcast", f"{SUBNET}.255.255", "dev", "eth0")
        for name in ("lo", "eth0"):
            ip("link", "set", name, "up")
        ip("route", "add", "default", "dev", "eth0")
        return {}

    def do_offer(self, people: list[str], streams: int) -> Message:
        """An outlet for each stream of each person."""
        from bci_m2s.lsl.outlet import make_outlet
        from bci_m2s.types import StreamInfo

        before, begun_s, failed, made = usage(), time.monotonic(), "", []
        for name in (f"{person}-{stream}" for person in people for stream in range(streams)):
            info = StreamInfo(name, "Simulated", name, labels=tuple("abcd"), units=("",) * 4)
            try:
                made.append(make_outlet(info, buffered=1))
            except RuntimeError as problem:
                failed = str(problem)
        took_s = time.monotonic() - begun_s
        ports = [port for outlet in made for port in ports_of(outlet)]
        self._outlets = made
        return {"made": len(made), "failed": failed, "ports": ports, "s": took_s, **grown(before)}

    def do_count(self) -> Message:
        """Packets so far, and the time of this processor that this program took."""
        return {**packets(), **usage(), "s": time.monotonic()}

    def _push(self) -> None:
        while True:
            for outlet in self._outlets:
                outlet.push_sample([0.0] * 4)
            time.sleep(PUSH_EVERY_S)


class Looker:
    """Looks for the streams of its own people, as an engine does."""

    def __init__(self) -> None:
        self._network: Any = None
        self._own: set[str] = set()

    def do_look(self, people: list[str], streams: int, longest_s: float) -> Message:
        """Seconds until everybody of this machine is found, -1 for never; and who else was."""
        from bci_m2s.lsl.network import LslNetwork

        self._own = {f"{person}-{stream}" for person in people for stream in range(streams)}
        before, begun_s, found_s = usage(), time.monotonic(), -1.0
        self._network = LslNetwork()
        while found_s < 0 and time.monotonic() - begun_s < longest_s:
            time.sleep(KNOWN_S)
            if self._own <= self._names():
                found_s = time.monotonic() - begun_s
        return {"s": found_s, "own": len(self._own & self._names()), **grown(before)}

    def do_watch(self, seconds: float) -> Message:
        """How many of all are seen, and how many of its own are not, look by look."""
        begun_s, own, seen = time.monotonic(), [], []
        before = usage()
        while time.monotonic() - begun_s < seconds:
            time.sleep(EVERY_S)
            names = self._names()
            own.append(len(self._own & names))
            seen.append(len(names))
        return {"wanted": len(self._own), "own": own, "seen": seen, **grown(before)}

    def do_open(self, most: int) -> Message:
        """Connect to its own people as a session does; how many delivered a sample."""
        from bci_m2s.errors import StreamError
        from bci_m2s.sources.lsl import LslSource

        before, begun_s, sources, failed = usage(), time.monotonic(), [], ""
        for name in sorted(self._own)[:most]:
            if time.monotonic() - begun_s > OPEN_S:
                break
            source = LslSource(name, wait_s=SAMPLE_S, network=self._network)
            try:
                source.open()
                sources.append(source)
            except StreamError as problem:
                failed = str(problem)
        took_s = time.monotonic() - begun_s
        for source in sources:
            source.clock_offset_s(NO_TIME_S)  # liblsl has a thread for it from the first time on
        samples = [source for source in sources if delivers(source)]
        counts = {"opened": len(sources), "deliver": len(samples), "s": took_s, "failed": failed}
        return {**counts, **grown(before)}

    def _names(self) -> set[str]:
        return {raw.name() for raw in self._network.streams().values()}


def delivers(source: Any) -> bool:
    """Whether a sample comes in time."""
    ends_s = time.monotonic() + SAMPLE_S
    while time.monotonic() < ends_s:
        if len(source.pull(0.2)):
            return True
    return False


def ports_of(outlet: Any) -> list[int]:
    """The ports of an outlet: TCP for data and UDP for the clock, of IPv4 and IPv6 (0: none)."""
    xml = outlet.get_info().as_xml()
    return [int(port) for port in re.findall(r"<v[46](?:data|service)_port>(\d+)<", xml)]


def usage() -> dict[str, float]:
    """Threads, open files, memory and processor time of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kb, threads = (
        float(re.findall(rf"^{key}:\s+(\d+)", status, re.MULTILINE)[0]) for key in ("VmRSS", "Threads")
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return {"threads": threads, "files": files, "kB": kb, "cpu_s": used.ru_utime + used.ru_stime}


def grown(before: Mapping[str, float]) -> dict[str, float]:
    """What came to it since."""
    return {key: value - before[key] for key, value in usage().items()}


def packets() -> dict[str, int]:
    """Of this machine so far: UDP that it sent and got, what it lost, and what its cable carried."""
    counts: dict[str, int] = {}
    for file in ("snmp", "netstat"):
        lines = Path(f"/proc/self/net/{file}").read_text(encoding="utf-8").splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            kind = names.split(":")[0]
            numbers = map(int, values.split()[1:])
            counts |= {f"{kind}.{name}": one for name, one in zip(names.split()[1:], numbers, strict=True)}
    device = next(
        line.split(":")[1].split()
        for line in Path("/proc/self/net/dev").read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("eth0:")
    )
    return {
        "sent": counts["Udp.OutDatagrams"],
        "got": counts["Udp.InDatagrams"],
        "lost": counts["Udp.RcvbufErrors"],
        "queries": counts["IpExt.OutMcastPkts"] + counts["IpExt.OutBcastPkts"],
        "wire": int(device[9]),
        "wire_bytes": int(device[8]),
    }


def serve(target: Any) -> int:
    """Do what is asked until standard input closes."""

    def obey(message: Message) -> None:
        what = message.pop("do")
        try:
            emit(getattr(target, f"do_{what}")(**message))
        except Exception as problem:  # who asks must not wait for a reply that never comes
            emit({"error": f"{type(problem).__name__}: {problem}"})

    stop = begin(obey)
    emit({"pid": os.getpid()})
    stop.wait()
    os._exit(0)  # hundreds of outlets take their time to close, and nobody needs that here


def enter(*paths: Path, kinds: int = 0) -> None:
    """Go into namespaces of another process, or new ones, before this one has a second thread."""
    library = ctypes.CDLL(None, use_errno=True)
    if kinds and library.unshare(kinds):
        raise OSError(ctypes.get_errno(), "unshare")
    for path in paths:
        with path.open("rb") as file:
            if library.setns(file.fileno(), 0):
                raise OSError(ctypes.get_errno(), f"setns {path}")


def room_command() -> list[str]:
    """What starts a command in a room of its own, as root or as whoever may be root there."""
    who = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *who, "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]


def main(arguments: Sequence[str]) -> int:
    """Play a role: ``enter`` goes into a room and becomes ``room``, which starts the others."""
    role, *rest = arguments
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else soft, hard))
    if role == "enter":
        command = [*room_command(), sys.executable, "-m", MODULE, "room", *rest]
        os.execvp(command[0], command)
    if role == "room":
        return room(json.loads(rest[0]))
    if role == "machine":
        enter(kinds=NEW_NETWORK | NEW_HOST_NAME)
        socket.sethostname(f"machine{int(rest[0]):02}")
        return serve(Machine())
    enter(*(Path(f"/proc/{rest[0]}/ns/{kind}") for kind in ("net", "uts")))
    return serve(Looker())


def end_with(stop: threading.Event) -> None:
    """Whoever started this is gone: end, and with the first process of a namespace all of it ends."""
    stop.wait()
    os._exit(1)


def room(spec: Mapping[str, Any]) -> int:
    """Measure in this room, and end with whoever started it."""
    threading.Thread(target=end_with, args=(begin(),), daemon=True).start()
    emit({"room": os.getpid()})
    try:
        emit(in_room(spec))
    except Exception as problem:
        emit({"error": str(problem)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
