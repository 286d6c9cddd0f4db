"""Draw the corridor and open-loop stimuli with OpenGL."""
