"""OpenGL resources: shader programs, textures, gamma tables, vertices.

The OpenGL functions are passed in as `gl`, so that this file imports no vendor library.
"""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.screens.screen_geometry import Mesh
from stimuli.textures.names import Texture

_FLOAT_BYTES = 4


class Program:
    """A shader program, with the locations of its uniforms in `at`."""

    def __init__(self, gl: Any, vertex: bytes, fragment: bytes, names: Sequence[str]) -> None:
        """Compile and link the program. Raises Refused if the driver cannot."""
        self.id: int = _program(gl, vertex, fragment)
        self.at: dict[str, int] = {
            name: gl.glGetUniformLocation(self.id, ctypes.create_string_buffer(name.encode()))
            for name in names
        }


def texture_array(
    gl: Any, textures: Mapping[str, Texture], anisotropy: float, periodic: bool = True
) -> int:
    """Upload textures of one size as the layers of an array texture with mipmaps; return its name.

    Args:
        gl: The OpenGL functions.
        textures: The layers, in order.
        anisotropy: Anisotropic filtering, 1 for none.
        periodic: True if the textures repeat beyond their edges.
    """
    placeholder = np.zeros((1, 1, 1), np.uint8)
    layers = np.stack(list(textures.values())) if textures else placeholder
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
        gl.glTexParameteri(kind, side, gl.GL_REPEAT if periodic else gl.GL_CLAMP_TO_EDGE)
    if anisotropy > 1:
        gl.glTexParameterf(kind, gl.GL_TEXTURE_MAX_ANISOTROPY_EXT, anisotropy)
    gl.glBindTexture(kind, 0)
    return name


def gamma_texture(gl: Any, tables: NDArray[np.float32]) -> int:
    """Upload gamma tables, one row a screen, as a texture with linear interpolation."""
    kind = gl.GL_TEXTURE_2D
    name = _bound_texture(gl, kind)
    height, width = tables.shape
    pixels = np.ascontiguousarray(tables).ctypes.data
    gl.glTexImage2D(kind, 0, gl.GL_R32F, width, height, 0, gl.GL_RED, gl.GL_FLOAT, pixels)
    for side in (gl.GL_TEXTURE_MIN_FILTER, gl.GL_TEXTURE_MAG_FILTER):
        gl.glTexParameteri(kind, side, gl.GL_LINEAR)
    for side in (gl.GL_TEXTURE_WRAP_S, gl.GL_TEXTURE_WRAP_T):
        gl.glTexParameteri(kind, side, gl.GL_CLAMP_TO_EDGE)
    gl.glBindTexture(kind, 0)
    return name


class Vertices:
    """Vertices and triangles in the memory of the graphics card.

    Each vertex has several attributes, each of a few floats.
    """

    def __init__(self, gl: Any, sizes: Sequence[int]) -> None:
        """Create empty buffers for vertices whose attributes have these sizes."""
        self.count = 0
        """Number of indices to draw."""
        self._gl = gl
        array, buffers = gl.GLuint(), (gl.GLuint * 2)()
        gl.glGenVertexArrays(1, ctypes.byref(array))
        gl.glGenBuffers(2, buffers)
        self.id = int(array.value)
        self._buffers = int(buffers[0]), int(buffers[1])
        gl.glBindVertexArray(self.id)
        gl.glBindBuffer(gl.GL_ARRAY_BUFFER, self._buffers[0])
        gl.glBindBuffer(gl.GL_ELEMENT_ARRAY_BUFFER, self._buffers[1])
        stride, offset = sum(sizes) * _FLOAT_BYTES, 0
        for location, size in enumerate(sizes):
            gl.glEnableVertexAttribArray(location)
            gl.glVertexAttribPointer(location, size, gl.GL_FLOAT, gl.GL_FALSE, stride, offset)
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


def mesh_vertices(gl: Any, mesh: Mesh, area: tuple[float, float, float, float]) -> Vertices:
    """Upload a screen's mesh: position in the window and point in space (m) of each vertex.

    area is the centre and half size of the screen in the window, which goes from -1 to 1.
    """
    x, y, half_x, half_y = area
    across, up = np.meshgrid(x + half_x * (2 * mesh.across - 1), y + half_y * (2 * mesh.up - 1))
    points = mesh.points_cm.reshape(-1, 3) / 100
    vertices = np.column_stack([across.ravel(), up.ravel(), points]).astype(np.float32)
    rows, columns = across.shape
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()[:, None]
    triangles = first + np.array([0, 1, columns, columns, 1, columns + 1])
    uploaded = Vertices(gl, (2, 3))
    uploaded.fill(vertices, triangles.ravel().astype(np.uint32))
    gl.glBindVertexArray(0)
    return uploaded


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
        log = ctypes.create_string_buffer(1024)
        gl.glGetProgramInfoLog(program, 1024, None, log)
        raise Refused(
            f"the graphics driver cannot compile the shaders ({log.value.decode().strip()}); "
            "use a driver with OpenGL 3.3 or newer"
        )
    return program
