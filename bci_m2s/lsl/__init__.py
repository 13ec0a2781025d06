"""The Lab Streaming Layer: its configuration, what is on the network, who a sender is; no samples are
pulled here.
"""
