"""What start.py hands on to the tools that set its environments up."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_uv_looks_where_pip_is_set_to_look(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*start.UV.values(), "UV_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    settings = (
        ":env:.find-links='/wheels'\nglobal.find-links='/others'\n"
        "global.index-url='https://lab.example/simple?a=b'\n"
        "install.no-compile='true'\nuser.cert=\"/certificates.pem\"\n"
    )
    found = start.as_uv(settings)
    assert found.pop("UV_CACHE_DIR").endswith("cache")
    assert found == {
        "UV_FIND_LINKS": "/wheels",
        "UV_DEFAULT_INDEX": "https://lab.example/simple?a=b",
        "SSL_CERT_FILE": "/certificates.pem",
    }
    monkeypatch.setenv("UV_FIND_LINKS", "/own")
    assert "UV_FIND_LINKS" not in start.as_uv(settings)  # it is uv's already


def test_pip_installs_where_uv_cannot(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def quietly(command: list[str], *_: object) -> object:
        commands.append(command)
        return type(
            "Ended", (), {"returncode": int("uv" in command and "--editable" in command), "stdout": b""}
        )

    monkeypatch.setattr(start, "quietly", quietly)
    monkeypatch.setattr(start, "run", lambda command: commands.append(command) or 0)
    assert start.install("python", ".[test]") == 0
    assert [command[2] for command in commands] == ["pip", "pip", "uv", "pip"]
    assert commands[-1][-2:] == ["--editable", ".[test]"]
