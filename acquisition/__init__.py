"""From a microscope's growing file to frames at the right time."""
