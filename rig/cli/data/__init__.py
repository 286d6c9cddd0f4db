"""Commands that list, copy and export recorded sessions."""
