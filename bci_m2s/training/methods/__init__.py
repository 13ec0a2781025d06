"""Pre-training, classifiers, controls and calibration; what is learnt and how."""
