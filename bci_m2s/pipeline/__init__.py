"""Chunk in, estimate out: what live, replay, verification and training share; no threads, no clock,
no network.
"""
