"""Scrolling traces of EEG, gaze and pupil."""
