"""The report of a session: what it was, as one self-contained page."""
