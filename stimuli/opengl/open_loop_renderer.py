"""Draws what stands in azimuth and elevation, on every screen: images and bars.

The OpenGL functions are handed in, so that this file imports no vendor's library.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stimuli.opengl.gl_resources import Program, Vertices, pictures_texture
from stimuli.opengl.shaders import MESH_VERTEX, SKY_FRAGMENT, VERSION
from stimuli.scene.open_loop import Bar, Image, Sight
from stimuli.textures.names import GREY, Picture

_NAMES = (
    "pictures", "gamma", "colours", "fog_m", "grey",
    "pane", "sight", "layer", "across", "middle", "half_width", "checks", "reversed",
)  # fmt: skip


class Sky:
    """The program and the images in the current OpenGL context."""

    def __init__(
        self,
        gl: Any,
        how: bytes,
        images: Mapping[str, Picture],
        meshes: Sequence[Vertices],
        colours: NDArray[np.float32],
    ) -> None:
        """Upload everything; `how` goes before the fragment shader, meshes are one a screen."""
        self._gl, self._meshes = gl, meshes
        self._layer = {name: float(n) for n, name in enumerate(images)}
        self._images = pictures_texture(gl, images, 1.0, closed=False)
        self._program = Program(gl, VERSION + MESH_VERTEX, how + SKY_FRAGMENT, _NAMES)
        at, masks = self._program.at, colours.ravel()
        gl.glUseProgram(self._program.id)
        gl.glUniform1i(at["pictures"], 0)
        gl.glUniform1i(at["gamma"], 1)
        gl.glUniform3fv(at["colours"], len(colours), (gl.GLfloat * masks.size)(*masks))
        gl.glUniform2f(at["fog_m"], 1.0, 2.0)
        gl.glUniform1f(at["grey"], GREY / 255)
        gl.glUseProgram(0)

    def draw(self, shown: Image | Bar, seen: Sight) -> None:
        """Draw an image or a bar on every screen."""
        gl, at = self._gl, self._program.at
        gl.glDisable(gl.GL_BLEND)
        gl.glDisable(gl.GL_DEPTH_TEST)
        gl.glUseProgram(self._program.id)
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, self._images)
        if isinstance(shown, Image):
            gl.glUniform1f(at["layer"], self._layer[shown.name])
            gl.glUniform4f(at["sight"], *(math.radians(side) for side in seen))
        else:
            gl.glUniform1f(at["layer"], -1.0)
            gl.glUniform2f(at["across"], float(shown.upright), float(not shown.upright))
            gl.glUniform1f(at["middle"], math.radians(shown.middle_deg))
            gl.glUniform1f(at["half_width"], math.radians(shown.width_deg / 2))
            gl.glUniform1f(at["checks"], math.radians(shown.checks_deg))
            gl.glUniform1f(at["reversed"], float(shown.reversed))
        for number, mesh in enumerate(self._meshes):
            gl.glUniform1i(at["pane"], number)
            gl.glBindVertexArray(mesh.id)
            gl.glDrawElements(gl.GL_TRIANGLES, mesh.count, gl.GL_UNSIGNED_INT, None)
        # PsychoPy's flip draws with the old pipeline and expects the context as it left it.
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, 0)
        gl.glBindVertexArray(0)
        gl.glUseProgram(0)
        gl.glEnable(gl.GL_BLEND)
