"""Drawing with OpenGL."""
