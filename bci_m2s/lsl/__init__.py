"""The Lab Streaming Layer: its configuration, what is on the network, who a sender is, and child processes
in the same session of it; no samples are pulled here.
"""
