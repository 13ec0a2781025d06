"""Small raw recordings in the exact layouts of foreign data sets; values tell where they stand."""

import pickle
import struct

import numpy as np

from bci_m2s.training.datasets import deap, dreamer, eegmat
from support.dataset_files import save_mat

EEGMAT_LABELS = [*(f"EEG {label}" for label in eegmat.CHANNELS["eeg"]), "EEG A2-A1", "ECG ECG"]


def read_all(read, *arguments):
    """Sessions by (subject, session), and what was reported; every sample is asked for."""
    problems = []
    sessions = {}
    for segments in read(*arguments, problems.append):
        for segment in segments:
            for stream in segment.streams.values():
                assert sum(len(chunk) for chunk in stream.chunks())
        sessions[segments[0].subject, segments[0].session] = segments
    return sessions, problems


def samples_of(segment, modality):
    """Stamps (n,) and samples (n, channels)."""
    chunks = list(segment.streams[modality].chunks())
    return np.concatenate([one.times for one in chunks]), np.concatenate([one.samples for one in chunks])


def edf(labels, values, rate_hz, unit="uV"):
    """An EDF file of records of 1 s. values : (n, channels), whole numbers of microvolts, |v| ≤ 32767."""
    count, records = len(labels), len(values) // rate_hz

    def column(texts, width):
        return "".join(f"{text:<{width}}" for text in texts)

    head = f"{0:<8}{'X':<80}{'X':<80}01.01.1110.00.00{256 * (count + 1):<8}{'':<44}"
    head += f"{records:<8}{1:<8}{count:<4}"
    fields = [
        column(labels, 16),
        column([""] * count, 80),
        column([unit] * count, 8),
        column([-32768] * count, 8),
        column([32767] * count, 8),
        column([-32768] * count, 8),
        column([32767] * count, 8),
        column([""] * count, 80),
        column([rate_hz] * count, 8),
        column([""] * count, 32),
    ]
    body = np.asarray(values, dtype="<i2")[: records * rate_hz].reshape(records, rate_hz, count)
    return (head + "".join(fields)).encode("ascii") + body.transpose(0, 2, 1).tobytes()


def eegmat_values(seconds, part, rate_hz=100):
    """(n, 21): hundred times the channel, plus the second, plus 10 in the second file."""
    second = np.arange(seconds * rate_hz) // rate_hz
    return 100 * np.arange(len(EEGMAT_LABELS)) + second[:, None] + 10 * (part - 1)


def write_eegmat(root, subject=0, seconds=(24, 3), labels=EEGMAT_LABELS):
    root.mkdir(parents=True, exist_ok=True)
    for part in (1, 2):
        content = edf(labels, eegmat_values(seconds[part - 1], part)[:, : len(labels)], 100)
        (root / f"Subject{subject:02d}_{part}.edf").write_bytes(content)


def deap_values():
    """Data of one byte per sample, so that a file is small, and ratings that differ by trial and head."""
    shape = (deap.N_TRIALS, deap.N_CHANNELS, deap.N_SAMPLES)
    trial, channel, sample = np.ogrid[: shape[0], : shape[1], : shape[2]]
    data = ((trial + channel + sample) % 100).astype(np.int8)
    ratings = 1.0 + (np.arange(deap.N_TRIALS * 4).reshape(-1, 4) * 7 % 81) / 10
    return data, ratings


def python_2_array(values):
    """An array as Python 2 pickled it, from opcode to opcode: its bytes are a text."""
    raw, kind = values.tobytes(), f"{values.dtype.kind}{values.dtype.itemsize}".encode()
    shape = b"".join(b"J" + struct.pack("<i", n) for n in values.shape)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01(" + shape + b"tcnumpy\ndtype\nU\x02" + kind + b"K\x00K\x01\x87R(K\x03U\x01<NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )


def deap_pickle(data, ratings):
    """The dict of a .dat file as Python 2 wrote it."""
    items = b"U\x06labels" + python_2_array(ratings) + b"U\x04data" + python_2_array(data)
    return b"\x80\x02}(" + items + b"u."


def write_deap(folder, subject=1, held=None):
    folder.mkdir(parents=True, exist_ok=True)
    content = deap_pickle(*deap_values()) if held is None else pickle.dumps(held, protocol=2)
    path = folder / f"s{subject:02d}.dat"
    path.write_bytes(content)
    return path


def cell(values):
    """A MATLAB column of cells."""
    made = np.empty((len(values), 1), dtype=object)
    for place, value in enumerate(values):
        made[place, 0] = value
    return made


def dreamer_signals(modality, subject, baseline_s=3, stimulus_s=2):
    """Baseline and stimuli of one modality; value: part, trial, channel and second."""
    rate_hz, count = int(dreamer.RATE_HZ[modality]), len(dreamer.CHANNELS[modality])
    made = {}
    for part, seconds in (("baseline", baseline_s), ("stimuli", stimulus_s)):
        second = np.arange(seconds * rate_hz)[:, None] // rate_hz
        base = 1000 * subject + (500 if part == "stimuli" else 0)
        made[part] = cell(
            [base + 20 * trial + np.arange(count) + second / 4 for trial in range(dreamer.N_TRIALS)]
        )
    return made


def dreamer_person(subject=1):
    scores = np.arange(dreamer.N_TRIALS)[:, None]
    return {
        "Age": "22",
        "Gender": "female",
        "EEG": dreamer_signals("eeg", subject),
        "ECG": dreamer_signals("ecg", subject),
        "ScoreValence": 1 + scores % 5,
        "ScoreArousal": 1 + (scores + 1) % 5,
        "ScoreDominance": 1 + (scores + 2) % 5,
    }


def write_dreamer(root, people=None, **replaced):
    people = [dreamer_person(1), dreamer_person(2)] if people is None else people
    whole = {
        "Data": cell(people).T,
        "EEG_SamplingRate": 128,
        "ECG_SamplingRate": 256,
        "EEG_Electrodes": cell(list(dreamer.CHANNELS["eeg"])).T,
        "noOfSubjects": len(people),
        "noOfVideoSequences": dreamer.N_TRIALS,
        **replaced,
    }
    save_mat(root / "DREAMER.mat", {"DREAMER": whole})
    return root / "DREAMER.mat"


def raw_clips(initials, n_clips, seconds=2):
    """Variables of a raw SEED file: (62, samples), value: clip, channel and second."""
    second = np.arange(seconds * 200) // 200
    return {
        f"{initials}_eeg{clip}": (1000.0 * clip + np.arange(62)[:, None] + second / 4).astype(np.float32)
        for clip in range(1, n_clips + 1)
    }


def xdf_chunk(tag, content):
    """One chunk with a 4-byte length."""
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


def xdf_header(number, name, stream_type, rate_hz, kind, labels, units):
    channels = "".join(
        f"<channel><label>{label}</label><unit>{unit}</unit></channel>"
        for label, unit in zip(labels, units, strict=True)
    )
    xml = (
        f"<info><name>{name}</name><type>{stream_type}</type><channel_count>{len(labels)}</channel_count>"
        f"<nominal_srate>{rate_hz:g}</nominal_srate><channel_format>{kind}</channel_format>"
        f"<source_id>{name}</source_id><desc><channels>{channels}</channels></desc></info>"
    )
    return xdf_chunk(2, struct.pack("<I", number) + xml.encode())


def xdf_samples(number, stamps, values):
    body = struct.pack("<I", number) + b"\x08" + struct.pack("<Q", len(stamps))
    if isinstance(values, np.ndarray):
        rows = np.empty(
            len(stamps), [("n", "u1"), ("stamp", "<f8"), ("row", values.dtype, values.shape[1:])]
        )
        rows["n"], rows["stamp"], rows["row"] = 8, stamps, values
        return xdf_chunk(3, body + rows.tobytes())
    for stamp, value in zip(stamps, values, strict=True):
        body += b"\x08" + struct.pack("<d", stamp)
        body += b"\x04" + struct.pack("<I", len(value.encode())) + value.encode()
    return xdf_chunk(3, body)


def xdf(streams, markers=(), offset_s=0.0):
    """An XDF file of (name, type, rate, labels, units, stamps, samples), and of (time, text) markers.

    offset_s : what is to be added to the stamps of every stream but the markers
    """
    content = b"XDF:" + xdf_chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
    for number, (name, kind, rate_hz, labels, units, stamps, values) in enumerate(streams, 1):
        content += xdf_header(number, name, kind, rate_hz, "float32", labels, units)
        content += xdf_samples(number, stamps, np.asarray(values, dtype=np.float32))
        content += xdf_chunk(4, struct.pack("<Idd", number, stamps[0], offset_s)) if offset_s else b""
    return content + xdf_markers(len(streams) + 1, "marks", markers)


def xdf_markers(number, name, markers=()):
    """A stream of (time, text) markers, to be put behind those before it."""
    header = xdf_header(number, name, "Markers", 0, "string", ["marker"], [""])
    return header + xdf_samples(number, *(zip(*markers, strict=True) if markers else ((), ())))
