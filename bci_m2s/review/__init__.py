"""What a recording holds: facts, picture, and the proof that every estimate comes back; nothing live."""
