"""Raw data of the Empatica EmbracePlus, where fastavro is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci_m2s.errors import RecordingError
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.together import open_together

BEGIN_US = 1_700_000_000_250_000
LONG, DOUBLE = {"type": "array", "items": "long"}, {"type": "array", "items": "float"}


def record(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "record",
        "fields": [{"name": key, "type": kind} for key, kind in fields.items()],
    }


def sensor(name: str, **fields: Any) -> dict[str, Any]:
    return record(name, timestampStart="long", samplingFrequency="float", **fields)


IMU = record("Imu", **dict.fromkeys(("physicalMin", "physicalMax", "digitalMin", "digitalMax"), "int"))
SCHEMA = record(
    "Session",
    rawData=record(
        "RawData",
        accelerometer=sensor("Accelerometer", imuParams=IMU, x=LONG, y=LONG, z=LONG),
        eda=sensor("Eda", values=DOUBLE),
        temperature=sensor("Temperature", values=DOUBLE),
        bvp=sensor("Bvp", values=DOUBLE),
        tags=record("Tags", tagsTimeMicros=LONG),
    ),
)


def content(begin_us: int = BEGIN_US, n: int = 40, eda_rate_hz: float = 4.0) -> dict[str, Any]:
    def of(rate_hz: float, **fields: Any) -> dict[str, Any]:
        return {"timestampStart": begin_us, "samplingFrequency": rate_hz, **fields}

    scale = {"physicalMin": -16, "physicalMax": 16, "digitalMin": -32768, "digitalMax": 32768}
    raw = {
        "accelerometer": of(64.0, imuParams=scale, x=[2048] * 9, y=[0] * 9, z=[-1024] * 9),
        "eda": of(eda_rate_hz, values=[index / 8 for index in range(n)]),
        "temperature": of(1.0, values=[33.5] * 10),
        "bvp": of(64.0, values=[]),
        "tags": {"tagsTimeMicros": [begin_us + 2_000_000]},
    }
    return {"rawData": raw}


def write(path: Path, *records: dict[str, Any], schema: Any = SCHEMA) -> Path:
    fastavro = pytest.importorskip("fastavro")
    with path.open("wb") as file:
        fastavro.writer(file, schema, records)
    return path


def test_a_file_is_streams_with_units_and_its_date(tmp_path: Path) -> None:
    recording = open_recording(write(tmp_path / "1-1-001_1700000000.avro", content()))
    found = {(stream.info.type, *stream.info.labels): stream for stream in recording.streams}
    assert recording.unix_s == 1_700_000_000
    skin = found["Peripheral", "EDA"]
    assert (skin.info.rate_hz, skin.info.units) == (4.0, ("microsiemens",))
    np.testing.assert_allclose(skin.times, 0.25 + np.arange(40) / 4)
    np.testing.assert_array_equal(skin.read(0, 40)[:, 0], np.arange(40) / 8)
    assert found["Peripheral", "TEMP"].info.units == ("celsius",)
    np.testing.assert_array_equal(found["ACC", "acc_x", "acc_y", "acc_z"].read(0, 1), [[1.0, 0.0, -0.5]])
    assert ("PPG", "BVP") not in found  # it holds no sample
    assert recording.markers[0].times.tolist() == [2.25]


def test_files_of_half_an_hour_go_on_from_each_other(tmp_path: Path) -> None:
    (tmp_path / "eeg.csv").write_text(
        "time,Cz\n" + "".join(f"{1_700_000_002 + index / 8:.3f},{index}\n" for index in range(160))
    )
    files = [write(tmp_path / f"{part}.avro", content(BEGIN_US + part * 10_000_000)) for part in (0, 1)]
    recording = open_together([tmp_path / "eeg.csv", *files])
    (skin,) = [stream for stream in recording.streams if "EDA" in stream.info.labels]
    np.testing.assert_allclose(skin.times, -1.75 + np.arange(80) / 4)
    np.testing.assert_array_equal(skin.read(38, 42)[:, 0], np.array([38, 39, 0, 1]) / 8)
    np.testing.assert_array_equal(skin.read(50, 52)[:, 0], np.array([10, 11]) / 8)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (content(eda_rate_hz=0.0), "not as EmbracePlus writes it: .*0 Hz"),
        (content(begin_us=-5), "not as EmbracePlus writes it"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, made: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordingError, match=said):
        open_recording(write(tmp_path / "a.avro", made))


def test_another_avro_file_and_a_damaged_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avro", {"x": 1}, schema=record("Other", x="int"))
    with pytest.raises(RecordingError, match="no raw data of an EmbracePlus"):
        open_recording(path)
    path.write_bytes(b"Obj\x01 and no more")
    with pytest.raises(RecordingError, match=r"a\.avro: cannot be read"):
        open_recording(path)


def test_without_fastavro_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastavro", None)
    (tmp_path / "a.avro").write_bytes(b"Obj\x01")
    with pytest.raises(RecordingError, match=r"Avro needs fastavro: pip install 'bci_m2s\[empatica\]'"):
        open_recording(tmp_path / "a.avro")
