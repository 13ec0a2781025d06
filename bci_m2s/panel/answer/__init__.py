"""The estimate as it is shown: bars, plane of valence and arousal, age."""
