"""What the panel hears over LSL: the session's description, estimates, raw samples; no Qt widget."""
