"""From recordings to windows: sessions, features, splits, batches; no networks."""
