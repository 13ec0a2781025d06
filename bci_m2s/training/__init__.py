"""Training: data sets through the live feature path, splits, methods. Nothing live imports it."""
