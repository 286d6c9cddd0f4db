"""The patch that a photodiode watches: its code, and the decoding of what the photodiode saw."""
