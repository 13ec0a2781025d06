"""From model files to figures: evaluation, metrics, tables, curves."""
