"""Checks of LSL: the library, its configuration, ports, network, a round trip, the clock."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bci_m2s.doctor import Finding
from bci_m2s.errors import ConfigurationError
from bci_m2s.lsl.configuration import OWN, in_force, read_settings, search_paths

LIBRARY = re.compile(r"(lib)?lsl(32|64)?(-debug)?(\.so[.\d]*|(\.[\d.]+)?\.dylib|\.dll)")
OLDEST_LIBRARY = 116  # 1.16; liblsl counts 100 * major + minor
SITE_GROUP = "239.255.172.215"  # multicast group of ResolveScope "site", liblsl's default
TUNNELS = ("tun", "tap", "wg", "ppp", "utun", "docker", "veth", "br-", "virbr", "vmnet", "vboxnet")
ROUND_TRIP_S = 5.0
ROUND_TRIPS = 20
FEW_PORTS = 8
COARSE_S = 1e-3


# ---- library ----


def check_library(
    environment: Mapping[str, str] = os.environ,
    loaded: tuple[int, Path] | None = None,
    folders: Iterable[Path] | None = None,
) -> list[Finding]:
    """Which liblsl is used, and which others could be loaded by mistake.

    loaded : version number of liblsl, and its file; folders : where else to look
    """
    if loaded is None:
        import pylsl
        import pylsl.lib

        loaded = int(pylsl.library_version()), Path(pylsl.lib.lib._name)  # ctypes documents the attribute
    number, path = loaded
    update = "Update pylsl (pip install -U pylsl): its wheel contains a recent liblsl."
    fact = f"{number // 100}.{number % 100} from {path}"
    results = [Finding.judge("liblsl", number >= OLDEST_LIBRARY, fact, update)]
    wanted = environment.get("PYLSL_LIB", "")
    if wanted:
        remedy = "Unset PYLSL_LIB unless you need that build."
        results.append(Finding("PYLSL_LIB", "warn", f"chooses the library: {wanted}", remedy))
    others = _other_libraries(path, _library_folders(environment) if folders is None else folders)
    fact = ", ".join(map(str, others)) or "none found"
    remedy = "Harmless if they are the same version; else remove them: two builds together can crash."
    return [*results, Finding.judge("other liblsl", not others, fact, remedy)]


def _library_folders(environment: Mapping[str, str]) -> list[Path]:
    named = {"win32": "PATH", "darwin": "DYLD_LIBRARY_PATH"}.get(sys.platform, "LD_LIBRARY_PATH")
    listed = [Path(part) for part in environment.get(named, "").split(os.pathsep) if part]
    roots = {sys.prefix, sys.base_prefix, environment.get("CONDA_PREFIX", sys.prefix)}
    inside = [Path(root) / part for root in sorted(roots) for part in ("lib", "Library/bin")]
    usual = [Path(part) for part in ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib", "/lib")]
    return [*listed, *inside, *usual, *_linker_folders()]


def _linker_folders() -> list[Path]:
    """Folders of the libraries called lsl that the system's linker knows."""
    program = shutil.which("ldconfig", path=f"/sbin:/usr/sbin:{os.environ.get('PATH', '')}")
    if program is None:
        return []
    try:
        result = subprocess.run([program, "-p"], capture_output=True, text=True, timeout=2.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    files = (line.rpartition("=> ")[2] for line in result.stdout.splitlines() if "lsl" in line)
    return [Path(file).parent for file in files]


def _other_libraries(loaded: Path, folders: Iterable[Path]) -> list[Path]:
    """Files called liblsl that are not the loaded one, links resolved, each once."""
    others: dict[Path, None] = {}
    for folder in dict.fromkeys(folders):
        with contextlib.suppress(OSError):  # not there, or not readable
            for file in sorted(folder.iterdir()):
                if LIBRARY.fullmatch(file.name) and file.resolve() != loaded.resolve():
                    others[file.resolve()] = None
    return list(others)


# ---- configuration ----


def check_configuration(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Which configuration file is in force, and its settings."""
    path, settings = in_force(environment)
    results = []
    for candidate in search_paths(environment):
        if candidate == path:
            break
        named = str(candidate) == environment.get("LSLAPICFG")
        if named or candidate.is_file():
            results.append(_ignored(candidate))
    if log := settings.get("log.file"):
        remedy = f"Remove `file` under [log] in {path} unless you want that."
        results.append(Finding("LSL log", "warn", f"liblsl appends its log to {log}", remedy))
    scope = settings.get("multicast.ResolveScope", "site")
    session = settings.get("lab.SessionID", "default")
    from_where = path or (f"${OWN}" if environment.get(OWN) else "no file, liblsl uses its defaults")
    fact = f"{from_where}: ResolveScope {scope}, SessionID {session}"
    hint = ""
    if session == "default":
        hint = "All of LSL on this network is in one session; --session-id new gives a separate one."
    if scope == "machine":
        hint = "Streams of other computers are not seen: to see them, set ResolveScope = site."
    return [*results, Finding("LSL configuration", "ok", fact, hint)]


def _ignored(path: Path) -> Finding:
    try:
        read_settings(path)
        problem = f"{path}: skipped"
    except ConfigurationError as error:
        problem = str(error)
    return Finding(
        "LSL configuration", "bad", f"liblsl ignores {problem}", "Correct the file, or remove it."
    )


# ---- ports and network ----


def can_bind(kind: socket.SocketKind, port: int, shared: bool = False) -> bool:
    """Whether a port is free on all IPv4 addresses. shared : bind it as liblsl binds its multicast port"""
    with socket.socket(socket.AF_INET, kind) as probe:
        if shared:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def check_ports(
    settings: Mapping[str, str] | None = None, free: Callable[..., bool] = can_bind
) -> list[Finding]:
    """Whether streams can be found and sent, and what a firewall must allow."""
    settings = in_force()[1] if settings is None else settings
    multicast = int(settings.get("ports.MulticastPort", 16571))
    first, count = int(settings.get("ports.BasePort", 16572)), int(settings.get("ports.PortRange", 32))
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    usable = sum(all(free(kind, port) for kind in kinds) for port in range(first, first + count))
    fact = f"{usable} of {count} free; each outlet takes two, one of them for IPv6"
    allow = f"A firewall must allow: UDP {multicast}, UDP and TCP {first} to {first + count - 1}."
    remedy = allow if usable >= FEW_PORTS else f"Close programs with outlets that are not needed. {allow}"
    ports = Finding("LSL ports", "ok" if usable >= FEW_PORTS else "warn", fact, remedy)
    if free(socket.SOCK_DGRAM, multicast, shared=True):
        return [ports]
    fact = f"UDP {multicast}, used to find streams, is in use by another program"
    remedy = "Find that program (ss -ulpn, netstat -abn) and close it."
    return [ports, Finding("multicast port", "bad", fact, remedy)]


def route_to(group: str) -> str:
    """This computer's address on the route to a multicast group. Raises OSError where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((group, 16571))  # of a UDP socket: nothing is sent
        return str(probe.getsockname()[0])


def has_ipv6() -> bool:
    """Whether IPv6 works on this computer."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def check_network(
    settings: Mapping[str, str] | None = None,
    route: Callable[[str], str] = route_to,
    ipv6: Callable[[], bool] = has_ipv6,
    interfaces: Sequence[str] | None = None,
) -> list[Finding]:
    """Interfaces, the route of multicast, IPv6."""
    settings = in_force()[1] if settings is None else settings
    names = [name for _, name in socket.if_nameindex()] if interfaces is None else list(interfaces)
    setting, works = settings.get("ports.IPv6", "allow"), ipv6()
    fact = f"{'works' if works else 'is not available'}; LSL's setting: {setting}"
    remedy = "Set IPv6 = allow under [ports] in lsl_api.cfg."
    usable = works or not setting.startswith("force")
    return [_multicast(settings, route, names), Finding.judge("IPv6", usable, fact, remedy, "bad")]


def _multicast(settings: Mapping[str, str], route: Callable[[str], str], names: Sequence[str]) -> Finding:
    fact = f"interfaces {', '.join(names)}"
    try:
        fact += f"; multicast leaves by {route(SITE_GROUP)}"
    except OSError as problem:
        local = settings.get("multicast.ResolveScope") == "machine"
        remedy = "Connect to the senders' network, or list their addresses as KnownPeers in lsl_api.cfg."
        fact += f"; no route for multicast: {problem.strerror}"
        return Finding.judge("network", local, fact, remedy)
    tunnels = ", ".join(name for name in names if name.startswith(TUNNELS))
    remedy = f"If streams are not found, turn {tunnels} off: multicast may take the wrong route."
    return Finding.judge("network", not tunnels, fact, remedy)


# ---- round trip and clock ----


def round_trip(limit_s: float = ROUND_TRIP_S) -> tuple[float, list[float]]:
    """Send samples from this program to itself over LSL.

    Returns the time until the stream was found (NaN: never), and the latency of each sample, s.
    """
    import pylsl

    started_s = time.monotonic()
    name = f"bci-m2s-doctor-{uuid.uuid4().hex}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Doctor", 1, 0, "double64", name))
    streams = pylsl.resolve_byprop("source_id", name, 1, limit_s / 2)
    if not streams:
        return float("nan"), []
    found_s = time.monotonic() - started_s
    inlet = pylsl.StreamInlet(streams[0], recover=False)
    latencies_s: list[float] = []
    with contextlib.suppress(pylsl.util.TimeoutError, pylsl.util.LostError):
        inlet.open_stream(timeout=limit_s / 4)
        outlet.wait_for_consumers(limit_s / 8)
        while len(latencies_s) < ROUND_TRIPS and time.monotonic() - started_s < limit_s:
            sent_s = pylsl.local_clock()
            outlet.push_sample([sent_s], sent_s)
            values, _ = inlet.pull_sample(timeout=0.2)
            if values is not None:
                latencies_s.append(pylsl.local_clock() - values[0])
    inlet.close_stream()
    return found_s, latencies_s


def check_round_trip(run: Callable[[], tuple[float, list[float]]] = round_trip) -> list[Finding]:
    """Whether a stream of this computer is found and its samples arrive."""
    found_s, latencies_s = run()
    firewall = "A firewall, a VPN or a wrong lsl_api.cfg blocks it: see LSL ports and LSL configuration."
    if np.isnan(found_s):
        fact = f"a stream of this program was not found in {ROUND_TRIP_S / 2:g} s"
    elif not latencies_s:
        fact = "a stream was found, but none of its samples arrived"
    else:
        median_ms = 1e3 * float(np.median(latencies_s))
        fact = f"found in {found_s:.2f} s; a sample takes {median_ms:.2f} ms (median of {len(latencies_s)})"
    return [Finding.judge("LSL round trip", bool(latencies_s), fact, firewall, "bad")]


def check_clock(read: Callable[[], float] | None = None, reads: int = 20_000) -> list[Finding]:
    """Whether the clock is fine-grained and never goes back."""
    if read is None:
        from bci_m2s.lsl.network import local_clock

        read = local_clock
    steps_s = np.diff([read() for _ in range(reads)])
    info = time.get_clock_info("monotonic")
    if (steps_s < 0).any() or not info.monotonic:
        fact = f"LSL's clock went back by {-1e3 * steps_s.min():.3f} ms"
        remedy = "Stop programs that set the clock; in a virtual machine, use another clock."
        return [Finding("clock", "bad", fact, remedy)]
    finest_s = float(steps_s[steps_s > 0].min(initial=np.inf))
    fine_ns, system_ns = 1e9 * finest_s, 1e9 * info.resolution
    fact = f"LSL's clock advances in steps of {fine_ns:.0f} ns; the system's: {system_ns:.0f} ns"
    remedy = "Stamps are too coarse for timing; update liblsl or the system."
    return [Finding.judge("clock", finest_s <= COARSE_S, fact, remedy)]
