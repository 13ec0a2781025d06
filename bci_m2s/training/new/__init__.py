"""Files for one's own model, from what is on the network or in recordings: ``bci-m2s new``.

``look`` finds the streams, ``electrodes``, ``trackers`` and ``trials`` say what is in them, ``project``
holds what was decided, ``files`` and ``protocol`` write it down.
"""
