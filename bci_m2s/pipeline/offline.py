"""The pipeline in a loop: recorded streams in, estimates out, as fast as it can."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.sources import Source
from bci_m2s.sources.replay import merge
from bci_m2s.types import Estimate, Event


def run_offline(
    pipeline: Pipeline, sources: Mapping[str, Source], markers: Sequence[Source] = ()
) -> Iterator[Estimate | Event]:
    """Feed finite, opened sources through a pipeline in the order of their stamps.

    Yields estimates and events in the order in which a live session would have made them. Events
    carry no local time: nothing here is live.
    """
    if pipeline.chooser is not None:
        pipeline.chooser.sort_by_time()
    marks = {f" markers {number}": source for number, source in enumerate(markers)}  # no modality's name
    streams = dict(sources) | marks
    for key, chunk in merge(streams):
        estimates: list[Estimate] = []
        if key in marks:
            for stamp, row in zip(chunk.times, chunk.samples, strict=True):
                pipeline.take_marker(float(stamp), str(row[0]), marks[key].info.name)
        else:
            pipeline.clock_offset_s[key] = sources[key].clock_offset_s(0.0)
            estimates = pipeline.push(key, chunk)
        for event in pipeline.events():
            yield replace(event, wall_s=time.time())
        yield from estimates
    if pipeline.chooser is not None:
        yield from pipeline.chooser.finish()
        for event in pipeline.events():
            yield replace(event, wall_s=time.time())
