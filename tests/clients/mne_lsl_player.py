"""Run with mne-lsl: plays a FIF file until its standard input ends. Arguments: file, name, unit."""

import sys

from mne_lsl.player import PlayerLSL

path, name, unit = sys.argv[1:]
player = PlayerLSL(path, chunk_size=16, name=name, source_id=name)
if unit != "volts":  # those of the file
    player.set_channel_units(dict.fromkeys(player.ch_names, unit))
player.start()
print("plays", flush=True)
sys.stdin.read()
player.stop()
