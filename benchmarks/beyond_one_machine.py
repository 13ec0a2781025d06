"""How many machines on one switch find their people by LSL, and what that costs the network.

Machines are network namespaces on this one, connected by a bridge; sockets, packets and liblsl are real,
cables and processors are not: all share those of this machine. Every machine offers the streams of some
people and looks for those of the next machine's, as an engine does whose headsets send from elsewhere. In
a round LSL as it is by default (but for 200 ports) and a contained one take turns:

- **by default**: everybody has one SessionID and asks on liblsl's four addresses;
- **contained**: a SessionID for each engine and its senders, and one multicast address.

A machine that does not find everybody within ``longest_s`` counts with that. ``defaults=0`` leaves the
first out: beyond about 4 × 31 it takes more than two cores.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Need, NotHere, Round, Run

OUTLETS = 40  # more than liblsl's usual 32 ports
LIMIT_S = 300.0  # for one room
LIBLSL_PORTS, OUR_PORTS = 32, 200
DEFAULT = "one SessionID, four addresses"
FOUND, SEEN, LOST, WIRE, ANSWERS = (
    "everybody is found",
    "seen at a look",
    "answers lost",
    "packets on the cables",
    "datagrams",
)
PORTS = f"found of {OUTLETS} on one machine"
OUTLET, INLET = ("threads", "files", "kB"), ("threads", "files")
CONFIGURATION = (
    "[multicast]\nResolveScope = {scope}\n{addresses}[lab]\nSessionID = {session}\n"
    "[ports]\nIPv6 = disable\nPortRange = {ports}\n[log]\nlevel = -3\n"
)
ONE_ADDRESS = "AddressesOverride = {239.255.172.215}\n"  # that of liblsl's own that is for sites


def configurations(machines: int, contained: bool) -> list[str]:
    """LSL's configuration of each machine's senders, and of whoever looks for them."""
    return [
        configuration(session=f"bench-{number}" if contained else "bench", one_address=contained)
        for number in range(machines)
    ]


def configuration(
    session: str = "bench", one_address: bool = False, scope: str = "site", ports: int = OUR_PORTS
) -> str:
    """One of LSL."""
    addresses = ONE_ADDRESS if one_address else ""
    return CONFIGURATION.format(scope=scope, addresses=addresses, session=session, ports=ports)


def measure(run: Run) -> Iterator[Round]:
    """Both ways in turn; and outlets on one machine, with few ports and with enough."""
    machines, people = run.count("machines"), run.count("people")
    run.note(f"{machines} machines, {people} people on each; streams of one: {run.count('streams')}")
    for turn in range(run.rounds):
        ways = [True, False] if run.count("defaults") else [True]
        taken = {}
        for contained in ways if turn % 2 == 0 else ways[::-1]:
            run.step("contained" if contained else "by default")
            texts = configurations(machines, contained)
            taken[contained] = figures(in_a_room(spec(run, texts, people, away=1)), run.number("longest_s"))
        run.step("ports")
        few, enough = (crowd(run, ports) for ports in (LIBLSL_PORTS, OUR_PORTS))
        ours, theirs = taken[True], taken.get(False)
        alone = {key for key in ours if key.startswith(("an outlet", "an inlet"))}
        yield {
            **{
                key: one if theirs is None or key in alone else (one, theirs[key])
                for key, one in ours.items()
            },
            PORTS: (enough, few),
        }


def spec(run: Run, texts: Sequence[str], people: int, away: int = 0) -> dict[str, Any]:
    """What a room is told. away : how many machines further an engine's people are"""
    return {
        "configurations": list(texts),
        "machines": len(texts),
        "people": people,
        "streams": run.count("streams") if away else 1,
        "seconds": run.number("seconds"),
        "longest_s": run.number("longest_s"),
        "inlets": people if away else 0,
        "away": away,
    }


def crowd(run: Run, ports: int) -> float:
    """How many of many outlets on one machine are found by another program there."""
    text = configuration(scope="machine", ports=ports)
    return float(in_a_room(spec(run, [text], OUTLETS))["found"][0]["own"])


def in_a_room(what: Mapping[str, Any]) -> dict[str, Any]:
    """Measure in a room of its own; whatever happens to this process, nothing of it stays."""
    import json

    from bci_m2s.errors import StreamError
    from bci_m2s.lsl.child import JsonChild

    here = str(Path(__file__).parent)
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    command = ["beyond_one_machine_child", "enter", json.dumps(what)]
    with JsonChild("the room of machines", command, {"PYTHONPATH": path}) as room:
        begun: dict[str, Any] = {}
        try:
            begun = room.receive(LIMIT_S)
            return room.receive(LIMIT_S)
        except StreamError as problem:
            if not begun:
                raise NotHere(f"no network namespaces can be made here: {problem}") from None
            raise


def figures(found: Mapping[str, Any], longest_s: float) -> dict[str, float]:
    """Of one room; a machine that did not find its people took as long as it was let."""
    machines = len(found["found"])
    took_s = [one["s"] if one["s"] >= 0 else longest_s for one in found["found"]]
    own = [seen / one["wanted"] for one in found["watched"] for seen in one["own"]]
    made, opened = (
        sum(one[key] for one in found[part]) for part, key in (("offered", "made"), ("opened", "opened"))
    )
    return {
        f"{FOUND}, median": median(took_s),
        f"{FOUND}, last machine": max(took_s),
        SEEN: 100 * fmean(own),
        LOST: per_s(found, "lost"),
        WIRE: per_s(found, "wire"),
        ANSWERS: per_s(found, "got") / machines,
        **{f"an outlet, {what}": grown(found["offered"], what) / made for what in OUTLET},
        **{f"an inlet, {what}": grown(found["opened"], what) / max(1, opened) for what in INLET},
    }


def grown(parts: Sequence[Mapping[str, float]], what: str) -> float:
    """What all programs took more than before."""
    return sum(one[what] for one in parts)


def per_s(found: Mapping[str, Any], what: str) -> float:
    """Of all machines while they looked."""
    both = list(zip(found["between"], found["after"], strict=True))
    return sum(after[what] - before[what] for before, after in both) / fmean(
        after["s"] - before["s"] for before, after in both
    )


def has_namespaces(_peer: str) -> bool:
    """Whether the programs are there; whether they may, shows itself."""
    return sys.platform == "linux" and all(shutil.which(name) for name in ("ip", "unshare"))


BENCHMARK = Benchmark(
    name="beyond_one_machine",
    question="What do many machines on one switch need of LSL to find their people?",
    minutes=5,
    figures=(
        Figure(f"{FOUND}, median", "s", DEFAULT),
        Figure(f"{FOUND}, last machine", "s", DEFAULT),
        Figure(SEEN, "% of its people", DEFAULT),
        Figure(LOST, "per second", DEFAULT),
        Figure(WIRE, "per second", DEFAULT),
        Figure(ANSWERS, "per second and machine", DEFAULT),
        *(Figure(f"an outlet, {what}", what) for what in OUTLET),
        *(Figure(f"an inlet, {what}", what) for what in INLET),
        Figure(PORTS, "outlets", f"a PortRange of {LIBLSL_PORTS}"),
    ),
    measure=measure,
    needs=(
        Need(
            "network namespaces",
            "Linux with iproute2 and util-linux, as root or where users may have namespaces",
            has_namespaces,
        ),
    ),
    rounds=3,
    settings={"machines": 4, "people": 8, "streams": 1, "seconds": 5.0, "longest_s": 20.0, "defaults": 1},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
