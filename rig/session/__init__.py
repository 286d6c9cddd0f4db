"""One run, begun and ended."""
