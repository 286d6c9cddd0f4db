"""What is shown at each moment: corridor geometry, open-loop stimuli, flip times."""
