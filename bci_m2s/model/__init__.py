"""The model file: its contract, whether a stream fits it, and inference with it; no training."""
