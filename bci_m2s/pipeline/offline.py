"""The pipeline in a loop: recorded streams in, estimates out, as fast as it can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.sources import Source
from bci_m2s.sources.replay import merge
from bci_m2s.types import Estimate


def run_offline(
    pipeline: Pipeline, sources: Mapping[str, Source], markers: Sequence[Source] = ()
) -> Iterator[Estimate]:
    """Feed finite, opened sources through a pipeline in the order of their stamps.

    Yields estimates in the order in which a live session would have made them. Events go where the
    pipeline emits them: those of a chunk before its estimates.
    """
    pipeline.sort_by_time()
    marks = {f" markers {number}": source for number, source in enumerate(markers)}  # no modality's name
    for key, chunk in merge(dict(sources) | marks):
        if key in marks:
            for stamp, row in zip(chunk.times, chunk.samples, strict=True):
                pipeline.take_marker(float(stamp), str(row[0]), marks[key].info.name)
        else:
            yield from pipeline.push(key, chunk, sources[key].clock_offset_s(0.0))
    yield from pipeline.finish()
