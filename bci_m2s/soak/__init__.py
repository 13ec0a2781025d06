"""Faults on purpose: senders that stop, freeze, restart, send wrong values and flood, and their effects;
nothing that a session needs.
"""
