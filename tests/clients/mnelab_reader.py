"""Run with MNELAB: opens an XDF file, prints what it has. Arguments: file, stream, file for the samples."""

import json
import sys

import numpy as np
from mnelab.io import read_raw
from pyxdf import resolve_streams

path, name, out = sys.argv[1:]
(number,) = [one["stream_id"] for one in resolve_streams(path) if one["name"] == name]
raw = read_raw(path, stream_ids=[number])
np.save(out, raw.get_data())
said = {
    "labels": raw.ch_names,
    "rate_hz": raw.info["sfreq"],
    "date": raw.info["meas_date"].isoformat(),
    "marks": [[float(mark["onset"]), str(mark["description"])] for mark in raw.annotations],
}
print(json.dumps(said))
