"""Start, monitor and end a session."""
