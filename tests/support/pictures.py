"""What a widget paints, as numbers."""

import numpy as np
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QImage


def pixels(widget):
    """(height, width) uint32, 0xffRRGGBB, of what a widget paints now."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    flat = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), dtype=np.uint32)
    return flat.reshape(image.height(), image.bytesPerLine() // 4)[:, : image.width()].copy()


def value_of(colour):
    """A colour "#RRGGBB" as a pixel's value."""
    return 0xFF000000 | int(colour[1:], 16)


def colours_of(widget):
    """All colours that a widget paints, as "#RRGGBB"."""
    return {f"#{value & 0xFFFFFF:06X}" for value in np.unique(pixels(widget)).tolist()}


def longest_run(wanted):
    """Length of the longest row of True in the rows of a (height, width) array."""
    longest = run = np.zeros(len(wanted), dtype=int)
    for column in wanted.T:
        run = (run + 1) * column
        longest = np.maximum(longest, run)
    return int(longest.max())


def place_px(plot, x, y):
    """Where a point of a plot's data is, in the widget's pixels."""
    return QPointF(plot.mapFromScene(plot.getViewBox().mapViewToScene(QPointF(x, y))))
