"""What the animal sees: textures, geometry, screens."""
