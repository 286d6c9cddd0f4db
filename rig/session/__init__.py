"""Start, watch and end a session."""
