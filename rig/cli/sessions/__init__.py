"""Commands that run, show, check and replay sessions."""
