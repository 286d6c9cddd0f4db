"""The wall textures, images and photographs."""
