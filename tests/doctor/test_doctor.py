"""The doctor: each check with surroundings made up for it, and one real run."""

import io
import math
import os
import socket
import time
from importlib.metadata import PackageNotFoundError

import pytest
from rich.console import Console

from bci_m2s import doctor
from bci_m2s.doctor import CHECKS, Finding, findings, machine, run_doctor
from bci_m2s.doctor import lsl as network


def only(found):
    (one,) = found
    return one


def states(found):
    return {one.name: one.verdict for one in found}


class TestMachine:
    def test_versions(self):
        versions = {"numpy": "2.1.0", "torch": "2.3.1+cu126", "pylsl": "1.18.6"}

        def found(name):
            if name not in versions:
                raise PackageNotFoundError(name)
            return versions[name]

        needed = ["numpy>=1.26", "torch>=2.4", "mne>=1.8", "pylsl>=1.18.6", 'pytest>=8; extra == "test"']
        python, packages = machine.check_versions(needed, found, (3, 10, 2))
        assert (python.verdict, packages.verdict) == ("bad", "bad")
        assert "expected >=3.11" in python.fact
        assert packages.fact == "torch: got 2.3.1+cu126, expected 2.4 or newer; mne is missing"
        assert "pip install" in packages.remedy
        good = machine.check_versions(["numpy>=1.26"], found, (3, 11, 0))
        assert states(good) == {"Python": "ok", "packages": "ok"}

    @pytest.mark.parametrize(
        ("gpus", "chosen", "state", "words"),
        [
            ([], "cpu", "ok", "none: the CPU is used"),
            (["H200, driver 570"], "cuda", "ok", "H200, driver 570: used"),
            (["H200, driver 570"], "cpu", "warn", "torch cannot use it"),
        ],
    )
    def test_gpu(self, gpus, chosen, state, words):
        one = only(machine.check_gpu(lambda: gpus, lambda: chosen))
        assert one.verdict == state
        assert words in one.fact
        assert bool(one.remedy) == (state == "warn")

    def test_gpus_come_from_the_drivers_program(self, tmp_path, monkeypatch):
        program = tmp_path / "nvidia-smi"
        program.write_text("#!/bin/sh\necho 'NVIDIA H200, 570.10'\necho 'NVIDIA T4, 570.10'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        assert machine.nvidia_gpus() == ["NVIDIA H200, driver 570.10", "NVIDIA T4, driver 570.10"]
        program.write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
        assert machine.nvidia_gpus() == []
        monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
        assert machine.nvidia_gpus() == []

    @pytest.mark.parametrize(("pass_s", "state"), [(0.002, "ok"), (0.1, "warn"), (0.3, "bad")])
    def test_model(self, pass_s, state):
        reads = iter(range(1000))
        one = only(machine.check_model(lambda: pass_s * next(reads)))
        assert one.verdict == state
        assert f"{1e3 * pass_s:.1f} ms per window (median of 20), one is due every 250 ms" in one.fact

    @pytest.mark.parametrize(
        ("free", "state", "hours"), [(95.4e9, "ok", 100), (2e9, "warn", 2.1), (4e8, "bad", 0.4)]
    )
    def test_disk(self, tmp_path, free, state, hours):
        one = only(machine.check_disk(tmp_path, int(free)))
        assert one.verdict == state
        assert f"{hours:.1f} h of 64 channels at 1 kHz" in one.fact
        assert only(machine.check_disk(tmp_path)).fact.count(str(tmp_path)) == 1

    def test_load(self):
        assert only(machine.check_load(1.5, 2)).verdict == "ok"
        assert only(machine.check_load(1.7, 2)).verdict == "warn"
        assert "core" in only(machine.check_load()).fact

    def test_power(self, tmp_path):
        assert machine.check_power(tmp_path) == []
        governor = tmp_path / "devices/system/cpu/cpu0/cpufreq/scaling_governor"
        supply = tmp_path / "class/power_supply/AC"
        for file, word in (
            (governor, "powersave\n"),
            (supply / "type", "Mains\n"),
            (supply / "online", "0\n"),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(word)
        assert states(machine.check_power(tmp_path)) == {"processor speed": "warn", "power": "warn"}
        governor.write_text("performance\n")
        (supply / "online").write_text("1\n")
        assert states(machine.check_power(tmp_path)) == {"processor speed": "ok", "power": "ok"}

    def test_display(self):
        assert "terminal" in only(machine.check_display({}, "linux")).fact
        assert only(machine.check_display({"DISPLAY": ":0"}, "linux")).fact == "DISPLAY=:0"
        assert "available" in only(machine.check_display({}, "win32")).fact


class TestLibrary:
    def test_alone(self, tmp_path):
        mine = tmp_path / "liblsl.so"
        mine.touch()
        found = network.check_library({}, (118, mine), [tmp_path, tmp_path / "nowhere"])
        assert states(found) == {"liblsl": "ok", "other liblsl": "ok"}
        assert found[0].fact == f"1.18 from {mine}"

    def test_old_chosen_and_doubled(self, tmp_path):
        mine, conda = tmp_path / "a" / "liblsl.so", tmp_path / "b"
        for name in ("liblsl.so.1.16.2", "lsl.dll", "liblsl64.1.14.0.dylib", "liblslx.so", "notes.txt"):
            conda.mkdir(exist_ok=True)
            (conda / name).touch()
        mine.parent.mkdir()
        mine.touch()
        (conda / "liblsl.so").symlink_to("liblsl.so.1.16.2")  # a link is no further build
        (conda / "liblsl32.so").symlink_to(mine)
        found = network.check_library({"PYLSL_LIB": str(mine)}, (113, mine), [conda, conda])
        assert states(found) == {"liblsl": "warn", "PYLSL_LIB": "warn", "other liblsl": "warn"}
        others = found[2].fact.split(", ")
        assert sorted(others) == sorted(
            str(conda / name) for name in ("liblsl.so.1.16.2", "lsl.dll", "liblsl64.1.14.0.dylib")
        )

    def test_search_path_is_looked_at(self, tmp_path, monkeypatch):
        monkeypatch.setattr(network.sys, "platform", "linux")
        (tmp_path / "liblsl.so.9").touch()
        found = network.check_library(
            {"LD_LIBRARY_PATH": f"/nowhere:{tmp_path}"}, (118, tmp_path / "mine.so")
        )
        assert str(tmp_path / "liblsl.so.9") in found[-1].fact


class TestConfiguration:
    def check(self, tmp_path, text=None, named=True):
        path = tmp_path / "a.cfg"
        if text is not None:
            path.write_text(text)
        home = {"HOME": str(tmp_path / "home")}
        return path, network.check_configuration({"LSLAPICFG": str(path), **home} if named else home)

    def test_in_force(self, tmp_path):
        path, found = self.check(tmp_path, "[multicast]\nResolveScope = machine\n[lab]\nSessionID = x\n")
        one = only(found)
        assert (one.verdict, one.fact) == ("ok", f"{path}: ResolveScope machine, SessionID x")
        assert "other computers are not seen" in one.remedy

    def test_a_log_file_is_reported(self, tmp_path):
        _, found = self.check(tmp_path, "[log]\nfile = /somewhere/x.log\n")
        assert states(found) == {"LSL log": "warn", "LSL configuration": "ok"}
        assert "/somewhere/x.log" in found[0].fact

    def test_defaults(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        one = only(self.check(tmp_path, named=False)[1])
        assert one.fact.endswith("defaults: ResolveScope site, SessionID default")
        assert "--session-id new" in one.remedy

    @pytest.mark.parametrize(
        ("text", "words"), [(None, "cannot be read: No such file"), ("[lab\n", ":1: got '[lab'")]
    )
    def test_a_file_that_liblsl_ignores(self, tmp_path, monkeypatch, text, words):
        monkeypatch.chdir(tmp_path)
        path, found = self.check(tmp_path, text)
        assert [one.verdict for one in found] == ["bad", "ok"]
        assert str(path) in found[0].fact
        assert words in found[0].fact


class TestNetwork:
    def test_ports(self):
        one = only(network.check_ports({}, lambda *_, **__: True))
        assert (one.verdict, one.fact[:13]) == ("ok", "32 of 32 free")
        assert "UDP 16571, UDP and TCP 16572 to 16603" in one.remedy

    def test_ports_taken(self):
        asked = []

        def taken(kind, port, shared=False):
            asked.append((kind, port, shared))
            return kind == socket.SOCK_STREAM and port < 2003  # no UDP port at all

        settings = {"ports.BasePort": "2000", "ports.PortRange": "5", "ports.MulticastPort": "1999"}
        found = network.check_ports(settings, taken)
        assert states(found) == {"LSL ports": "warn", "multicast port": "bad"}
        assert found[0].fact.startswith("0 of 5 free")
        assert (socket.SOCK_DGRAM, 1999, True) in asked
        assert {port for _, port, shared in asked if not shared} == set(range(2000, 2005))

    @pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
    def test_a_port_that_is_held_is_not_free(self, kind):
        with socket.socket(socket.AF_INET, kind) as holder:
            holder.bind(("", 0))
            port = holder.getsockname()[1]
            assert not network.can_bind(kind, port)
        assert network.can_bind(kind, port)

    def test_way_of_multicast(self):
        def there(_group):
            return "192.0.2.1"

        def nowhere(_group):
            raise OSError(101, "Network is unreachable")

        def look(settings, route, names):
            return network.check_network(settings, route, lambda: True, names)[0]

        assert look({}, there, ["lo", "eth0"]).fact == "interfaces lo, eth0; multicast leaves by 192.0.2.1"
        assert look({}, there, ["lo", "eth0"]).verdict == "ok"
        tunnel = look({}, there, ["eth0", "wg0", "utun3"])
        assert (tunnel.verdict, "wg0, utun3" in tunnel.remedy) == ("warn", True)
        assert look({}, nowhere, ["lo"]).verdict == "warn"
        assert "Network is unreachable" in look({}, nowhere, ["lo"]).fact
        assert look({"multicast.ResolveScope": "machine"}, nowhere, ["lo"]).verdict == "ok"

    @pytest.mark.parametrize(
        ("setting", "works", "state"),
        [("allow", True, "ok"), ("disable", False, "ok"), ("force", True, "ok"), ("force", False, "bad")],
    )
    def test_ipv6(self, setting, works, state):
        found = network.check_network({"ports.IPv6": setting}, lambda _: "::1", lambda: works, ["lo"])
        assert found[1].verdict == state

    @pytest.mark.parametrize(
        ("tried", "state", "words"),
        [
            ((math.nan, []), "bad", "was not found in 2.5 s"),
            ((0.2, []), "bad", "none of its samples arrived"),
            ((0.2, [0.001, 0.002, 0.009]), "ok", "found in 0.20 s; a sample takes 2.00 ms (median of 3)"),
        ],
    )
    def test_round_trip(self, tried, state, words):
        one = only(network.check_round_trip(lambda: tried))
        assert one.verdict == state
        assert words in one.fact
        assert bool(one.remedy) == (state == "bad")

    def test_a_real_round_trip(self):
        found_s, ways_s = network.round_trip()
        assert 0 <= found_s < 5
        assert len(ways_s) == network.ROUND_TRIPS
        assert 0 < min(ways_s) < 0.2

    @pytest.mark.parametrize(
        ("steps_s", "state", "words"),
        [
            ([0.0, 1e-7, 1e-7, 3e-7], "ok", "steps of 100 ns"),
            ([0.0, 0.0, 0.016, 0.032], "warn", "steps of 16000000 ns"),
            ([0.0, 1e-6, -0.5, 0.1], "bad", "went back by 500.001 ms"),
        ],
    )
    def test_clock(self, steps_s, state, words):
        reads = iter(steps_s)
        one = only(network.check_clock(lambda: next(reads), len(steps_s)))
        assert one.verdict == state
        assert words in one.fact


class TestReport:
    def broken(self):
        raise OSError("out of order")

    def test_a_check_that_fails_hides_nothing(self, monkeypatch):
        monkeypatch.setattr(machine, "check_load", self.broken)
        names = []
        found = findings(names.append, {name: CHECKS[name] for name in ("disk", "load", "display")})
        assert names == ["disk", "load", "display"]
        assert states(found)["load"] == "bad"
        assert found[1].fact == "could not be checked: OSError: out of order"
        assert {"disk", "display"} <= set(states(found))

    @pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warn", 0), ("bad", 1)])
    def test_table_and_status(self, monkeypatch, state, code):
        found = [Finding("disk", "ok", "fine"), Finding("thing", state, "a fact [bold]", "Do this.")]
        monkeypatch.setattr(doctor, "findings", lambda _say: found)
        out = io.StringIO()
        assert run_doctor(Console(file=out, width=100, markup=False)) == code
        lines = [line.rstrip() for line in out.getvalue().splitlines()]
        assert lines[0].split() == ["ok", "disk", "fine"]
        assert lines[1].split(None, 2) == [state, "thing", "a fact [bold]"]
        assert lines[2].strip() == "→ Do this."
        assert lines[0].index("fine") == lines[1].index("a fact") == lines[2].index("→")
        assert lines[3].startswith(f"{1 + (state == 'ok')} ok, {int(state == 'warn')} warn, ")

    def test_a_real_run(self):
        out = io.StringIO()
        begun_s = time.monotonic()
        run_doctor(Console(file=out, width=240, markup=False))
        text = out.getvalue()
        assert time.monotonic() - begun_s < 120  # 10 s on a computer that is not also testing
        for name in ("Python", "liblsl", "LSL round trip", "IPv6", "GPU", "disk", "clock", "load"):
            assert f" {name} " in text
        assert "could not be checked" not in text
        assert "found in" in text


def test_filters_without_a_compiler_are_fine_and_say_how_to_be_faster():
    assert machine.check_filters(True) == [Finding("filters", "ok", "compiled")]
    (found,) = machine.check_filters(False)
    assert found.verdict == "ok"
    assert "C compiler" in found.remedy
    (here,) = machine.check_filters()
    assert here.fact.startswith(("compiled", "by scipy"))
