"""Commands that list, copy, export and recover recorded sessions."""
