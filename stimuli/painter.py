"""Draws the corridor with OpenGL into whatever window is current: one mesh, one call a view.

The OpenGL functions are handed in, so that this file imports no vendor's library.
"""

import ctypes
from typing import Any

import numpy as np

from rig.refused import Refused
from stimuli.geometry import Lap, Laps, fog_m, projection, walls
from stimuli.screen import Scene, Stage
from stimuli.textures import GREY

_VERTEX_SHADER = b"""#version 330
layout(location = 0) in vec3 place;
layout(location = 1) in vec3 laid;
uniform mat4 view;
uniform float position_m;
uniform float layers[3];
out vec3 from_eye;
out vec2 on_wall;
flat out float layer;
void main() {
    from_eye = place + vec3(0.0, 0.0, position_m);
    gl_Position = view * vec4(from_eye, 1.0);
    on_wall = laid.xy;
    layer = layers[int(laid.z + 0.5)];
}"""

_FRAGMENT_SHADER = b"""#version 330
in vec3 from_eye;
in vec2 on_wall;
flat in float layer;
uniform sampler2DArray pictures;
uniform vec2 fog_m;
uniform float grey;
out vec4 colour;
void main() {
    float level = layer < 0.0 ? grey : texture(pictures, vec3(on_wall, layer)).r;
    float fog = clamp((length(from_eye) - fog_m.x) / (fog_m.y - fog_m.x), 0.0, 1.0);
    colour = vec4(vec3(mix(level, grey, fog)), 1.0);
}"""

_FLOAT_BYTES = 4
_VERTEX_BYTES = 6 * _FLOAT_BYTES


class Painter:
    """The corridor's mesh, pictures and shaders in the current OpenGL context."""

    def __init__(
        self, gl: Any, stage: Stage, size_px: tuple[int, int], patch_px: int, anisotropy: float
    ) -> None:
        """Upload everything; size_px is the whole window's. Raises Refused if the GPU cannot."""
        self._gl, self._size_px, self._patch_px = gl, size_px, patch_px
        self._corridor = stage.corridor
        self._layer = {name: float(n) for n, name in enumerate(stage.pictures)}
        flat = [projection(view).T.ravel() for view in stage.views]
        self._views = [(gl.GLfloat * 16)(*matrix) for matrix in flat]
        self._laps: Laps | None = None
        self._program = _program(gl)
        self._at = {
            name: gl.glGetUniformLocation(self._program, ctypes.create_string_buffer(name))
            for name in (b"view", b"position_m", b"layers", b"fog_m", b"grey")
        }
        self._texture = _texture(gl, stage, anisotropy)
        self._vertex_array, self._buffers = _vertex_array(gl)

    def draw(self, scene: Scene) -> None:
        """Draw a scene into the back buffer: grey, the walls of every view, the patch."""
        gl = self._gl
        gl.glDisable(gl.GL_SCISSOR_TEST)
        self._clear(GREY / 255)
        if scene.laps is not None:
            self._draw_walls(scene.laps, scene.position_m)
        if self._patch_px:
            gl.glEnable(gl.GL_SCISSOR_TEST)
            gl.glScissor(0, 0, self._patch_px, self._patch_px)
            self._clear(float(scene.patch_bright))
            gl.glDisable(gl.GL_SCISSOR_TEST)

    def _clear(self, level: float) -> None:
        self._gl.glClearColor(level, level, level, 1.0)
        self._gl.glClear(self._gl.GL_COLOR_BUFFER_BIT)

    def _draw_walls(self, laps: Laps, position_m: float) -> None:
        """Nothing hides behind anything between two walls, so no depth buffer is needed."""
        gl, at = self._gl, self._at
        gl.glUseProgram(self._program)
        gl.glBindVertexArray(self._vertex_array)
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, self._texture)
        gl.glDisable(gl.GL_BLEND)
        gl.glDisable(gl.GL_DEPTH_TEST)
        if laps != self._laps:
            self._lay(laps)
        gl.glUniform1f(at[b"position_m"], position_m)
        width, height = self._size_px[0] // len(self._views), self._size_px[1]
        for number, view in enumerate(self._views):
            gl.glViewport(number * width, 0, width, height)
            gl.glUniformMatrix4fv(at[b"view"], 1, 0, view)
            gl.glDrawElements(gl.GL_TRIANGLES, self._count, gl.GL_UNSIGNED_INT, None)
        # PsychoPy's flip draws with the old pipeline and expects the context as it left it.
        gl.glViewport(0, 0, *self._size_px)
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, 0)
        gl.glBindVertexArray(0)
        gl.glUseProgram(0)
        gl.glEnable(gl.GL_BLEND)

    def _lay(self, laps: Laps) -> None:
        """Say which picture is on which lap; build the walls anew only if a length changed."""
        gl, at = self._gl, self._at
        if self._laps is None or _lengths(laps) != _lengths(self._laps):
            vertices, indices = walls(laps, self._corridor)
            self._count = indices.size
            for target, array in zip(
                (gl.GL_ARRAY_BUFFER, gl.GL_ELEMENT_ARRAY_BUFFER), (vertices, indices), strict=True
            ):
                gl.glBindBuffer(target, self._buffers[target])
                gl.glBufferData(target, array.nbytes, array.ctypes.data, gl.GL_STATIC_DRAW)
            gl.glBindBuffer(gl.GL_ARRAY_BUFFER, 0)
            gl.glUniform2f(at[b"fog_m"], *fog_m(laps, self._corridor))
            gl.glUniform1f(at[b"grey"], GREY / 255)
        layers = [-1.0 if lap.stimulus is None else self._layer[lap.stimulus] for lap in laps]
        gl.glUniform1fv(at[b"layers"], 3, (gl.GLfloat * 3)(*layers))
        self._laps = laps


def _lengths(laps: tuple[Lap, ...]) -> list[tuple[float, float]]:
    return [(lap.texture_m, lap.grey_m) for lap in laps]


def _program(gl: Any) -> int:
    program: int = gl.glCreateProgram()
    shaders = ((_VERTEX_SHADER, gl.GL_VERTEX_SHADER), (_FRAGMENT_SHADER, gl.GL_FRAGMENT_SHADER))
    for source, stage in shaders:
        shader = gl.glCreateShader(stage)
        text = ctypes.cast(ctypes.create_string_buffer(source), ctypes.POINTER(gl.GLchar))
        gl.glShaderSource(shader, 1, ctypes.pointer(text), None)
        gl.glCompileShader(shader)
        gl.glAttachShader(program, shader)
    gl.glLinkProgram(program)
    linked = gl.GLint()
    gl.glGetProgramiv(program, gl.GL_LINK_STATUS, ctypes.byref(linked))
    if not linked.value:
        why = ctypes.create_string_buffer(1024)
        gl.glGetProgramInfoLog(program, 1024, None, why)
        raise Refused(
            f"the graphics driver refuses the corridor's shaders ({why.value.decode().strip()}); "
            "use a driver with OpenGL 3.3"
        )
    return program


def _texture(gl: Any, stage: Stage, anisotropy: float) -> int:
    """Upload the pictures as layers of one texture, with mipmaps."""
    layers = np.ascontiguousarray(np.stack(list(stage.pictures.values())))
    depth, height, width = layers.shape
    name = gl.GLuint()
    gl.glGenTextures(1, ctypes.byref(name))
    kind = gl.GL_TEXTURE_2D_ARRAY
    gl.glBindTexture(kind, name)
    gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
    pixels = layers.ctypes.data
    size = (width, height, depth)
    gl.glTexImage3D(kind, 0, gl.GL_R8, *size, 0, gl.GL_RED, gl.GL_UNSIGNED_BYTE, pixels)
    gl.glGenerateMipmap(kind)
    gl.glTexParameteri(kind, gl.GL_TEXTURE_MIN_FILTER, gl.GL_LINEAR_MIPMAP_LINEAR)
    gl.glTexParameteri(kind, gl.GL_TEXTURE_MAG_FILTER, gl.GL_LINEAR)
    gl.glTexParameteri(kind, gl.GL_TEXTURE_WRAP_S, gl.GL_REPEAT)
    gl.glTexParameteri(kind, gl.GL_TEXTURE_WRAP_T, gl.GL_REPEAT)
    if anisotropy > 1:
        gl.glTexParameterf(kind, gl.GL_TEXTURE_MAX_ANISOTROPY_EXT, anisotropy)
    gl.glBindTexture(kind, 0)
    return int(name.value)


def _vertex_array(gl: Any) -> tuple[int, dict[int, int]]:
    """Make room for the mesh: three floats of place, three of how the picture is laid."""
    array, buffers = gl.GLuint(), (gl.GLuint * 2)()
    gl.glGenVertexArrays(1, ctypes.byref(array))
    gl.glGenBuffers(2, buffers)
    gl.glBindVertexArray(array)
    gl.glBindBuffer(gl.GL_ARRAY_BUFFER, buffers[0])
    gl.glBindBuffer(gl.GL_ELEMENT_ARRAY_BUFFER, buffers[1])
    for place in (0, 1):
        offset = place * 3 * _FLOAT_BYTES
        gl.glEnableVertexAttribArray(place)
        gl.glVertexAttribPointer(place, 3, gl.GL_FLOAT, gl.GL_FALSE, _VERTEX_BYTES, offset)
    gl.glBindVertexArray(0)
    gl.glBindBuffer(gl.GL_ARRAY_BUFFER, 0)
    return int(array.value), dict(
        zip((gl.GL_ARRAY_BUFFER, gl.GL_ELEMENT_ARRAY_BUFFER), buffers, strict=True)
    )
