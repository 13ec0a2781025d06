"""The XML in XDF: headers that every reader can parse, whatever the sender sent, and footers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from bci_m2s.types import StreamInfo

DECLARATION = '<?xml version="1.0"?>\n'
# What XML 1.0 forbids: as such, and as a reference (liblsl writes a control character as &#1;).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FORBIDDEN_REFERENCE = re.compile(r"&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|x0*(?:[0-8bcef]|1[\da-f]));", re.I)


def stream_xml(info: StreamInfo, description: Mapping[str, Any] | None = None) -> str:
    """Return a stream header. `description`: further elements of ``desc``, text or mappings of such."""
    root = ET.Element("info")
    fill(
        root,
        {
            "name": info.name,
            "type": info.type,
            "channel_count": str(info.n_channels),
            "channel_format": info.channel_format,
            "source_id": info.source_id,
            "nominal_srate": repr(float(info.rate_hz)),
            "uid": info.uid,
            "hostname": info.host,
        },
    )
    desc = ET.SubElement(root, "desc")
    channels = ET.SubElement(desc, "channels")
    units = info.units or ("",) * info.n_channels
    for label, unit in zip(info.labels, units, strict=True):
        fill(ET.SubElement(channels, "channel"), {"label": label, "unit": unit, "type": info.type})
    fill(desc, description or {})
    return DECLARATION + ET.tostring(root, encoding="unicode")


def footer_xml(
    count: int, first_s: float, last_s: float, offsets: Iterable[tuple[float, float]] = ()
) -> str:
    """Return a stream footer: number of samples, first and last stamp, clock offsets (time, value); s."""
    root = ET.Element("info")
    fill(root, {"first_timestamp": repr(first_s), "last_timestamp": repr(last_s)})
    rate_hz = (count - 1) / (last_s - first_s) if last_s > first_s else 0.0
    fill(root, {"sample_count": str(count), "measured_srate": repr(rate_hz)})
    listed = ET.SubElement(root, "clock_offsets")
    for time_s, value_s in offsets:
        fill(ET.SubElement(listed, "offset"), {"time": repr(time_s), "value": repr(value_s)})
    return DECLARATION + ET.tostring(root, encoding="unicode")


def fill(parent: ET.Element, elements: Mapping[str, Any]) -> None:
    """Add elements to `parent`: text or mappings of elements, with what XML forbids left out."""
    for name, content in elements.items():
        child = ET.SubElement(parent, one_word(name))
        if isinstance(content, Mapping):
            fill(child, content)
        else:
            child.text = _FORBIDDEN.sub("", str(content))


def one_word(name: str) -> str:
    """Return a name as an XML element may have it: odd characters become "_"."""
    word = re.sub(r"[^\w.-]", "_", name)
    return word if re.match(r"[^\W\d]", word) else f"_{word}"


def readable(xml: str, info: StreamInfo) -> str:
    """Return a description that every reader can parse and that agrees with `info`, else ""."""
    xml = _FORBIDDEN_REFERENCE.sub("", _FORBIDDEN.sub("", xml))
    if not xml or "<!DOCTYPE" in xml:  # no entities: they can expand to gigabytes
        return ""
    try:
        root = ET.fromstring(xml)
    except ET.ParseError:
        return ""
    agrees = (
        root.tag == "info"
        and (root.findtext("channel_count") or "").strip() == str(info.n_channels)
        and (root.findtext("channel_format") or "").strip() == info.channel_format
        and root.findtext("name") is not None
        and root.findtext("nominal_srate") is not None
    )
    return xml if agrees else ""
