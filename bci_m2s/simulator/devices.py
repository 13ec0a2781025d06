"""EEG devices: which electrodes their usual cap has, and what their LSL sender states of them.

``simulate --montage NAME`` plays one, and ``new --montage NAME`` writes files for one. Layouts are the
makers' usual ones: a cap can be configured otherwise, and then the labels that it sends count. What the
senders state is from their source code or documentation (``source``); nothing was measured on a device.
"""

from __future__ import annotations

from dataclasses import dataclass

from bci_m2s.errors import ConfigurationError, nearest


def _labels(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SEED_62 = _labels(
    """
    FP1 FPZ FP2 AF3 AF4
    F7 F5 F3 F1 FZ F2 F4 F6 F8
    FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8
    T7 C5 C3 C1 CZ C2 C4 C6 T8
    TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8
    P7 P5 P3 P1 PZ P2 P4 P6 P8
    PO7 PO5 PO3 POZ PO4 PO6 PO8
    CB1 O1 OZ O2 CB2
    """
)
MUSE = ("TP9", "AF7", "AF8", "TP10")
CYTON_8 = ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2")
ACTICAP_32 = _labels(
    """
    Fp1 Fz F3 F7 FT9 FC5 FC1 C3 T7 TP9 CP5 CP1 Pz P3 P7 O1
    Oz O2 P4 P8 TP10 CP6 CP2 Cz C4 T8 FT10 FC6 FC2 F4 F8 Fp2
    """
)
ACTICAP_64 = ACTICAP_32 + _labels(
    """
    AF7 AF3 AFz F1 F5 FT7 FC3 C1 C5 TP7 CP3 P1 P5 PO7 PO3 POz
    PO4 PO8 P6 P2 CPz CP4 TP8 C6 C2 FC4 FT8 F6 AF8 AF4 F2 Iz
    """
)
WAVEGUARD_32 = _labels(
    """
    Fp1 Fpz Fp2 F7 F3 Fz F4 F8 FC5 FC1 FC2 FC6 M1 T7 C3 Cz C4 T8 M2
    CP5 CP1 CP2 CP6 P7 P3 Pz P4 P8 POz O1 Oz O2
    """
)
TEN_TWENTY_19 = _labels("Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2")
BIOSEMI_32 = _labels(
    """
    Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz
    O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 F8 AF4 Fp2 Fz Cz
    """
)
BIOSEMI_64 = _labels(
    """
    Fp1 AF7 AF3 F1 F3 F5 F7 FT7 FC5 FC3 FC1 C1 C3 C5 T7 TP7
    CP5 CP3 CP1 P1 P3 P5 P7 P9 PO7 PO3 O1 Iz Oz POz Pz CPz
    Fpz Fp2 AF8 AF4 AFz Fz F2 F4 F6 F8 FT8 FC6 FC4 FC2 FCz Cz
    C2 C4 C6 T8 TP8 CP6 CP4 CP2 P2 P4 P6 P8 P10 PO8 PO4 O2
    """
)


@dataclass(frozen=True, slots=True)
class Device:
    """One EEG device with its usual cap.

    name : as ``--montage`` has it; title : for people
    channels : labels of the electrodes, in the order in which they are sent
    rate_hz : usual sampling rate
    reference : where the reference electrode sits as delivered; no sender here states it
    stream_name : of the LSL stream, "…" for what differs from device to device; stream_type : its LSL type
    has_labels, has_unit : whether the sender states labels and unit
    source : who says so
    """

    name: str
    title: str
    channels: tuple[str, ...]
    rate_hz: float
    reference: str = ""
    stream_name: str = ""
    stream_type: str = "EEG"
    has_labels: bool = True
    has_unit: bool = True
    source: str = ""


DEVICES = {
    device.name: device
    for device in (
        Device("muse", "Muse", MUSE, 256.0, "Fpz", "Muse", source="source code of muse-lsl (797d01c)"),
        Device(
            "openbci-8",
            "OpenBCI Cyton",
            CYTON_8,
            250.0,
            "SRB2 pin",
            "obci_eeg1",
            has_labels=False,
            has_unit=False,
            source="source code of OpenBCI GUI 6 (41610b98); places as its documentation wires them",
        ),
        Device(
            "openbci-16",
            "OpenBCI Cyton + Daisy",
            (*CYTON_8, "F7", "F8", "F3", "F4", "T7", "T8", "P3", "P4"),
            125.0,
            "SRB2 pin",
            "obci_eeg1",
            has_labels=False,
            has_unit=False,
            source="source code of OpenBCI GUI 6 (41610b98); places as its documentation wires them",
        ),
        Device(
            "emotiv-14",
            "Emotiv EPOC X",
            _labels("AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4"),
            128.0,
            "CMS and DRL behind the ears",
            "EmotivDataStream-EEG",
            source="documentation of EmotivPRO's LSL outlet (22438b8)",
        ),
        Device(
            "emotiv-5",
            "Emotiv Insight",
            ("AF3", "T7", "Pz", "T8", "AF4"),
            128.0,
            "CMS and DRL behind the left ear",
            "EmotivDataStream-EEG",
            source="documentation of EmotivPRO's LSL outlet (22438b8)",
        ),
        Device(
            "unicorn-8",
            "g.tec Unicorn Hybrid Black",
            ("Fz", "C3", "Cz", "C4", "Pz", "PO7", "Oz", "PO8"),
            250.0,
            "mastoids",
            "Unicorn_EEG",
            has_labels=False,
            has_unit=False,
            source="source code and manual of UnicornLSL (ae0edbe), its split form; order as delivered",
        ),
        Device(
            "actichamp-32",
            "Brain Products actiCHamp, actiCAP 32",
            ACTICAP_32,
            500.0,
            "FCz",
            "actiCHamp-…",
            source="source code of LSL-actiCHamp 1.15 (587de01); the maker's standard 32 places",
        ),
        Device(
            "actichamp-64",
            "Brain Products actiCHamp, actiCAP 64",
            ACTICAP_64,
            500.0,
            "FCz",
            "actiCHamp-…",
            source="source code of LSL-actiCHamp 1.15 (587de01); the maker's standard 64 places",
        ),
        Device(
            "liveamp-32",
            "Brain Products LiveAmp, actiCAP 32",
            ACTICAP_32,
            500.0,
            "FCz",
            "LiveAmpSN-…",
            source="source code of LSL-LiveAmp 1.20 (0ced22e); the maker's standard 32 places",
        ),
        Device(
            "eego-32",
            "ANT eego, waveguard 32",
            WAVEGUARD_32,
            512.0,
            "CPz",
            "eegoSports …",
            source="source code of lsl-eego (d0f2a67); the maker's usual 32 places",
        ),
        Device("seed-62", "NeuroScan cap of the SEED data sets", SEED_62, 1000.0, source="the data sets"),
        Device("standard-19", "10-20 system", TEN_TWENTY_19, 256.0, source="Jasper 1958"),
        Device("standard-32", "10-20 system, 32 places", BIOSEMI_32, 500.0, source="BioSemi's 32"),
        Device("standard-64", "10-10 system, 64 places", BIOSEMI_64, 500.0, source="BioSemi's 64"),
    )
}


def find_device(name: str) -> Device:
    """A device by name. Raises ConfigurationError for an unknown one, with the nearest."""
    if name not in DEVICES:
        raise ConfigurationError(f"montage: got {name!r}, expected a known one{nearest(name, DEVICES)}")
    return DEVICES[name]


def usual_rate_hz(montage: str) -> float:
    """Sampling rate of a device by its name; 1000 for a montage that is none."""
    return DEVICES[montage].rate_hz if montage in DEVICES else 1000.0
