"""Live emotion estimates from EEG or eye tracking with one sensor: the M2S method made usable."""

__version__ = "0.1.0"
