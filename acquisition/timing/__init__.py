"""Match imaging frames to frame-clock edges, and flips to the photodiode."""
