"""What the task presents: its settings, the order of the trials, and each trial."""
