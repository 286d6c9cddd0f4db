"""What is handed to the graphics card once: programs, pictures, gamma curves, vertices.

The OpenGL functions are handed in, so that this file imports no vendor's library.
"""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.screens.screen_geometry import Mesh
from stimuli.textures.names import Picture

_FLOAT_BYTES = 4


class Program:
    """A program of the graphics card, and where its settings go."""

    def __init__(self, gl: Any, vertex: bytes, fragment: bytes, names: Sequence[str]) -> None:
        """Compile it. Raises Refused if the driver cannot."""
        self.id: int = _program(gl, vertex, fragment)
        self.at: dict[str, int] = {
            name: gl.glGetUniformLocation(self.id, ctypes.create_string_buffer(name.encode()))
            for name in names
        }


def pictures_texture(
    gl: Any, pictures: Mapping[str, Picture], anisotropy: float, closed: bool = True
) -> int:
    """Upload pictures, which close on themselves or not, as layers of a texture with mipmaps."""
    none = np.zeros((1, 1, 1), np.uint8)  # where nothing is ever laid on a wall
    layers = np.stack(list(pictures.values())) if pictures else none
    depth, height, width = layers.shape
    kind = gl.GL_TEXTURE_2D_ARRAY
    name = _bound_texture(gl, kind)
    pixels = layers.ctypes.data
    size = (width, height, depth)
    gl.glTexImage3D(kind, 0, gl.GL_R8, *size, 0, gl.GL_RED, gl.GL_UNSIGNED_BYTE, pixels)
    gl.glGenerateMipmap(kind)
    gl.glTexParameteri(kind, gl.GL_TEXTURE_MIN_FILTER, gl.GL_LINEAR_MIPMAP_LINEAR)
    gl.glTexParameteri(kind, gl.GL_TEXTURE_MAG_FILTER, gl.GL_LINEAR)
    for side in (gl.GL_TEXTURE_WRAP_S, gl.GL_TEXTURE_WRAP_T):
        gl.glTexParameteri(kind, side, gl.GL_REPEAT if closed else gl.GL_CLAMP_TO_EDGE)
    if anisotropy > 1:
        gl.glTexParameterf(kind, gl.GL_TEXTURE_MAX_ANISOTROPY_EXT, anisotropy)
    gl.glBindTexture(kind, 0)
    return name


def curves_texture(gl: Any, curves: NDArray[np.float32]) -> int:
    """Upload gamma curves, a row a screen, as a texture that is read between its points."""
    kind = gl.GL_TEXTURE_2D
    name = _bound_texture(gl, kind)
    height, width = curves.shape
    pixels = np.ascontiguousarray(curves).ctypes.data
    gl.glTexImage2D(kind, 0, gl.GL_R32F, width, height, 0, gl.GL_RED, gl.GL_FLOAT, pixels)
    for side in (gl.GL_TEXTURE_MIN_FILTER, gl.GL_TEXTURE_MAG_FILTER):
        gl.glTexParameteri(kind, side, gl.GL_LINEAR)
    for side in (gl.GL_TEXTURE_WRAP_S, gl.GL_TEXTURE_WRAP_T):
        gl.glTexParameteri(kind, side, gl.GL_CLAMP_TO_EDGE)
    gl.glBindTexture(kind, 0)
    return name


class Vertices:
    """Vertices and triangles in the card's memory; each vertex is a few groups of floats."""

    def __init__(self, gl: Any, groups: Sequence[int]) -> None:
        self.count = 0
        """Indices to draw."""
        self._gl = gl
        array, buffers = gl.GLuint(), (gl.GLuint * 2)()
        gl.glGenVertexArrays(1, ctypes.byref(array))
        gl.glGenBuffers(2, buffers)
        self.id = int(array.value)
        self._buffers = int(buffers[0]), int(buffers[1])
        gl.glBindVertexArray(self.id)
        gl.glBindBuffer(gl.GL_ARRAY_BUFFER, self._buffers[0])
        gl.glBindBuffer(gl.GL_ELEMENT_ARRAY_BUFFER, self._buffers[1])
        stride, offset = sum(groups) * _FLOAT_BYTES, 0
        for place, size in enumerate(groups):
            gl.glEnableVertexAttribArray(place)
            gl.glVertexAttribPointer(place, size, gl.GL_FLOAT, gl.GL_FALSE, stride, offset)
            offset += size * _FLOAT_BYTES
        gl.glBindVertexArray(0)
        gl.glBindBuffer(gl.GL_ARRAY_BUFFER, 0)

    def fill(self, vertices: NDArray[np.float32], indices: NDArray[np.uint32]) -> None:
        """Upload new vertices and triangles."""
        gl = self._gl
        gl.glBindVertexArray(self.id)
        for target, buffer, array in (
            (gl.GL_ARRAY_BUFFER, self._buffers[0], vertices),
            (gl.GL_ELEMENT_ARRAY_BUFFER, self._buffers[1], indices),
        ):
            gl.glBindBuffer(target, buffer)
            gl.glBufferData(target, array.nbytes, array.ctypes.data, gl.GL_STATIC_DRAW)
        gl.glBindBuffer(gl.GL_ARRAY_BUFFER, 0)
        self.count = indices.size


def mesh_vertices(gl: Any, mesh: Mesh, inside: tuple[float, float, float, float]) -> Vertices:
    """Upload a warp: where in the window, and towards which point (m from the eye)."""
    x, y, half_x, half_y = inside
    across, up = np.meshgrid(x + half_x * (2 * mesh.across - 1), y + half_y * (2 * mesh.up - 1))
    points = mesh.points_cm.reshape(-1, 3) / 100
    vertices = np.column_stack([across.ravel(), up.ravel(), points]).astype(np.float32)
    rows, columns = across.shape
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()[:, None]
    triangles = first + np.array([0, 1, columns, columns, 1, columns + 1])
    made = Vertices(gl, (2, 3))
    made.fill(vertices, triangles.ravel().astype(np.uint32))
    gl.glBindVertexArray(0)
    return made


def _bound_texture(gl: Any, kind: int) -> int:
    name = gl.GLuint()
    gl.glGenTextures(1, ctypes.byref(name))
    gl.glBindTexture(kind, name)
    gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
    return int(name.value)


def _program(gl: Any, vertex: bytes, fragment: bytes) -> int:
    program: int = gl.glCreateProgram()
    for source, stage in ((vertex, gl.GL_VERTEX_SHADER), (fragment, gl.GL_FRAGMENT_SHADER)):
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
