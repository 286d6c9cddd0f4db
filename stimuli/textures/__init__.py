"""Wall textures and open-loop images, synthesized or read from a lab's own photographs."""
