"""Match imaging frames with frame-clock edges, and flips with edges of the photodiode."""
