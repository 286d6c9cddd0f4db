"""Draw open-loop stimuli, which are defined in azimuth and elevation, on every screen.

The OpenGL functions are passed in as `gl`, so that this file imports no vendor library.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stimuli.opengl.gl_resources import Program, Vertices, texture_array
from stimuli.opengl.shaders import MESH_VERTEX, OPEN_LOOP_FRAGMENT, VERSION
from stimuli.scene.open_loop import Bar, FieldOfView, Image
from stimuli.textures.names import GREY, Texture

_UNIFORMS = (
    "textures", "gamma", "colours", "fog_m", "grey",
    "screen", "field", "layer", "across", "middle", "half_width", "checks", "reversed",
)  # fmt: skip


class OpenLoopRenderer:
    """The shader program and the images in the current OpenGL context."""

    def __init__(
        self,
        gl: Any,
        header: bytes,
        images: Mapping[str, Texture],
        meshes: Sequence[Vertices],
        colours: NDArray[np.float32],
    ) -> None:
        """Compile the program and upload the images.

        Args:
            gl: The OpenGL functions.
            header: Text to put before the fragment shader.
            images: The images, all of one size.
            meshes: The mesh of each screen.
            colours: The colour mask of each screen, screens x 3.
        """
        self._gl, self._meshes = gl, meshes
        self._layer = {name: float(n) for n, name in enumerate(images)}
        self._images = texture_array(gl, images, 1.0, periodic=False)
        fragment = header + OPEN_LOOP_FRAGMENT
        self._program = Program(gl, VERSION + MESH_VERTEX, fragment, _UNIFORMS)
        at, masks = self._program.at, colours.ravel()
        gl.glUseProgram(self._program.id)
        gl.glUniform1i(at["textures"], 0)
        gl.glUniform1i(at["gamma"], 1)
        gl.glUniform3fv(at["colours"], len(colours), (gl.GLfloat * masks.size)(*masks))
        gl.glUniform2f(at["fog_m"], 1.0, 2.0)  # everything is drawn at distance 0: no fog
        gl.glUniform1f(at["grey"], GREY / 255)
        gl.glUseProgram(0)

    def draw(self, stimulus: Image | Bar, field: FieldOfView) -> None:
        """Draw an image or a bar on every screen."""
        gl, at = self._gl, self._program.at
        gl.glDisable(gl.GL_BLEND)
        gl.glDisable(gl.GL_DEPTH_TEST)
        gl.glUseProgram(self._program.id)
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, self._images)
        if isinstance(stimulus, Image):
            gl.glUniform1f(at["layer"], self._layer[stimulus.name])
            gl.glUniform4f(at["field"], *(math.radians(edge) for edge in field))
        else:
            gl.glUniform1f(at["layer"], -1.0)
            gl.glUniform2f(at["across"], float(stimulus.upright), float(not stimulus.upright))
            gl.glUniform1f(at["middle"], math.radians(stimulus.middle_deg))
            gl.glUniform1f(at["half_width"], math.radians(stimulus.width_deg / 2))
            gl.glUniform1f(at["checks"], math.radians(stimulus.checks_deg))
            gl.glUniform1f(at["reversed"], float(stimulus.reversed))
        for number, mesh in enumerate(self._meshes):
            gl.glUniform1i(at["screen"], number)
            gl.glBindVertexArray(mesh.id)
            gl.glDrawElements(gl.GL_TRIANGLES, mesh.count, gl.GL_UNSIGNED_INT, None)
        # PsychoPy's flip uses the fixed-function pipeline and expects this state.
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, 0)
        gl.glBindVertexArray(0)
        gl.glUseProgram(0)
        gl.glEnable(gl.GL_BLEND)
