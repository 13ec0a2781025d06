"""Run with mne-lsl: reads samples of a stream and writes them to a file. Arguments: file, type, how many,
column, value.

Only samples with this value in this column count; "" for all.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from mne_lsl.stream import StreamLSL

out, stype, wanted, column, value = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]
limit = time.monotonic() + 150
while True:  # it is read from the moment at which it is there
    try:
        stream = StreamLSL(bufsize=4096 if stype == "Emotion" else 20, stype=stype).connect(timeout=5)
        break
    except RuntimeError:
        if time.monotonic() > limit:
            raise
count = 0
while count < wanted and time.monotonic() < limit:
    time.sleep(0.1)
    samples, stamps = stream.get_data()
    come = stamps > 0  # the buffer begins as zeros
    samples, stamps = samples.T[come], stamps[come]
    count = (
        int(np.sum(samples[:, stream.ch_names.index(column)] == float(value))) if column else len(stamps)
    )
said = {
    "labels": stream.ch_names,
    "units": [int(power) for _, power in stream.get_channel_units()] if stype == "EEG" else [],
    "rate_hz": stream.info["sfreq"],
    "kinds": stream.get_channel_types(unique=True),
    "samples": samples.tolist(),
    "stamps": stamps.tolist(),
}
stream.disconnect()
out.write_text(json.dumps(said))
