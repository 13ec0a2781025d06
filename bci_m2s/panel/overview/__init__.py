"""Everybody at a glance: a tile for each participant of the sessions on this machine."""
