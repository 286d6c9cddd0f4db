"""The referee's own rules; they share no code with behavior.trials."""
