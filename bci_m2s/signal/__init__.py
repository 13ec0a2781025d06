"""Signals, block by block: filters, windows, quality, smoothing, normalisation per person; pure, no
threads and no files.
"""
