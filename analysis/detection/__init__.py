"""Find cells in the first minutes of a session."""
