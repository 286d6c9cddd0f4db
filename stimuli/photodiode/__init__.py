"""The patch that a photodiode watches: its code, and how to decode a recorded trace."""
