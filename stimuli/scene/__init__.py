"""The scene at each moment: corridor geometry, open-loop stimuli, and flip times."""
