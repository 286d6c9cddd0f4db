"""Show the corridor and play the cue: textures, geometry, screens, sound."""
