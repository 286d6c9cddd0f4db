"""Setups, tasks and `--set`: read, checked and resolved into one session."""
