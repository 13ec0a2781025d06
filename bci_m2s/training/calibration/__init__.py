"""A model for one participant from their own labelled trials; docs/calibration.md says what it rests on."""
