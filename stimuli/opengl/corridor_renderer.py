"""Draws the corridor with OpenGL into whatever window is current: one call for all flat screens.

The OpenGL functions are handed in, so that this file imports no vendor's library.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stimuli.opengl.gl_resources import (
    Program,
    Vertices,
    curves_texture,
    mesh_vertices,
    pictures_texture,
)
from stimuli.opengl.open_loop_renderer import Sky
from stimuli.opengl.shaders import (
    CORRECTED,
    FLAT_FRAGMENT,
    FLAT_VERTEX,
    MESH_FRAGMENT,
    MESH_VERTEX,
    VERSION,
)
from stimuli.scene.corridor_geometry import Lap, Laps, fog_m, projection, repeats, walls
from stimuli.scene.open_loop import sight
from stimuli.scene.screen import Scene, Stage
from stimuli.screens.gamma import common_range, lookup
from stimuli.screens.screen_geometry import Mesh, Pane, as_mesh
from stimuli.screens.window_layout import Area, WindowLayout
from stimuli.textures.names import GREY, PICTURE_HEIGHT_M, PICTURE_M

_LIT = ("pictures", "gamma", "colours", "fog_m", "grey", "position_m", "layers")
_FLAT = ("views", "areas")
_BENT = ("pane", "tube_m", "texture_m", "length_m", "repeats", "picture_m")


class Painter:
    """The corridor's mesh, pictures and shaders in the current OpenGL context."""

    def __init__(self, gl: Any, stage: Stage, layout: WindowLayout, anisotropy: float) -> None:
        """Upload everything. Raises Refused if the graphics card cannot."""
        self._gl, self._layout, self._corridor = gl, layout, stage.corridor
        self._layer = {name: float(n) for n, name in enumerate(stage.pictures)}
        self._laps: Laps | None = None
        curves = _curves(stage.panes)
        colours = np.array([pane.look.colour for pane in stage.panes])
        grounds = colours * curves[:, GREY, None]
        self.ground = tuple(grounds[0])
        self.other_grounds = [
            (area, tuple(ground))
            for area, ground in zip(layout.areas, grounds, strict=True)
            if tuple(ground) != self.ground
        ]
        self._white = _colour_at(layout, colours)
        self._pictures = pictures_texture(gl, stage.pictures, anisotropy)
        self._curves = curves_texture(gl, curves)
        flat = [n for n, pane in enumerate(stage.panes) if not isinstance(pane.surface, Mesh)]
        self._flat_count = len(flat)
        self._walls = Vertices(gl, (3, 3))
        how = VERSION + (CORRECTED if _corrected(stage.panes) else b"")
        self._flat = Program(gl, VERSION + FLAT_VERTEX, how + FLAT_FRAGMENT, (*_LIT, *_FLAT))
        self._bent = Program(gl, VERSION + MESH_VERTEX, how + MESH_FRAGMENT, (*_LIT, *_BENT))
        insides = [_inside(area, layout.size_px) for area in layout.areas]
        meshes = [
            mesh_vertices(gl, as_mesh(pane.surface), inside)
            for pane, inside in zip(stage.panes, insides, strict=True)
        ]
        self._meshes = list(enumerate(meshes))[self._flat_count :]
        self._sky = Sky(gl, how, stage.images, meshes, colours.astype(np.float32))
        self._sight = sight(stage.panes)
        self._set_once(stage.panes[: self._flat_count], colours)

    def draw(self, scene: Scene) -> None:
        """Draw a scene into the back buffer: grey, the walls of every screen, the patch."""
        gl = self._gl
        gl.glDisable(gl.GL_SCISSOR_TEST)
        self._clear(self.ground)
        if self.other_grounds:
            self._clear_parts(self.other_grounds)
        if scene.laps is not None:
            self._draw_walls(scene.laps, scene.position_m)
        if scene.open_loop is not None:
            self._sky.draw(scene.open_loop, self._sight)
        if self._layout.patch is not None:
            level = self._white if scene.patch_bright else (0.0, 0.0, 0.0)
            self._clear_parts(((self._layout.patch, level),))

    def draw_image(self, image: NDArray[np.uint8]) -> None:
        """Put an image on the whole window: its height x width x 3 levels, row 0 on top."""
        gl, (width, height) = self._gl, self._layout.size_px
        assert image.shape == (height, width, 3), "the image must have the window's size"
        rows = np.ascontiguousarray(image[::-1])
        for test in (gl.GL_SCISSOR_TEST, gl.GL_DEPTH_TEST, gl.GL_TEXTURE_2D):
            gl.glDisable(test)
        gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
        gl.glWindowPos2i(0, 0)
        gl.glDrawPixels(width, height, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, rows.ctypes.data)

    def _set_once(self, flat: Sequence[Pane], colours: NDArray[np.float64]) -> None:
        """Set what stays: where the screens are, their colours, and how far a line is cut."""
        gl, floats = self._gl, self._gl.GLfloat
        masks = colours.astype(np.float32).ravel()
        for program in (self._flat, self._bent):
            gl.glUseProgram(program.id)
            gl.glUniform1i(program.at["pictures"], 0)
            gl.glUniform1i(program.at["gamma"], 1)
            gl.glUniform3fv(program.at["colours"], len(colours), (floats * masks.size)(*masks))
            gl.glUniform1f(program.at["grey"], GREY / 255)
        tube = (self._corridor.half_width_cm, self._corridor.floor_cm, self._corridor.ceiling_cm)
        gl.glUniform3f(self._bent.at["tube_m"], *(side / 100 for side in tube))
        gl.glUniform2f(self._bent.at["picture_m"], PICTURE_M, PICTURE_HEIGHT_M)
        gl.glUseProgram(self._flat.id)
        for n, pane in enumerate(flat):
            assert not isinstance(pane.surface, Mesh)
            view = (floats * 16)(*projection(pane.surface).T.ravel())
            gl.glUniformMatrix4fv(self._flat.at["views"] + n, 1, 0, view)
            inside = _inside(self._layout.areas[n], self._layout.size_px)
            gl.glUniform4f(self._flat.at["areas"] + n, *inside)
        gl.glUseProgram(0)
        gl.glActiveTexture(gl.GL_TEXTURE1)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._curves)
        gl.glActiveTexture(gl.GL_TEXTURE0)
        for edge in range(4):  # an instance ends where its screen does
            gl.glEnable(gl.GL_CLIP_DISTANCE0 + edge)

    def _clear(self, colour: tuple[float, float, float]) -> None:
        self._gl.glClearColor(*colour, 1.0)
        self._gl.glClear(self._gl.GL_COLOR_BUFFER_BIT)

    def _clear_parts(self, parts: Sequence[tuple[Area, tuple[float, float, float]]]) -> None:
        gl = self._gl
        gl.glEnable(gl.GL_SCISSOR_TEST)
        for area, colour in parts:
            gl.glScissor(*area)
            self._clear(colour)
        gl.glDisable(gl.GL_SCISSOR_TEST)

    def _draw_walls(self, laps: Laps, position_m: float) -> None:
        """Nothing hides behind anything inside a tube, so no depth buffer is needed."""
        gl = self._gl
        if laps != self._laps:
            self._lay(laps)
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, self._pictures)
        gl.glDisable(gl.GL_BLEND)
        gl.glDisable(gl.GL_DEPTH_TEST)
        if self._flat_count:
            gl.glUseProgram(self._flat.id)
            gl.glUniform1f(self._flat.at["position_m"], position_m)
            gl.glBindVertexArray(self._walls.id)
            triangles, kind = self._walls.count, gl.GL_UNSIGNED_INT
            gl.glDrawElementsInstanced(gl.GL_TRIANGLES, triangles, kind, None, self._flat_count)
        if self._meshes:
            self._draw_meshes(position_m)
        # PsychoPy's flip draws with the old pipeline and expects the context as it left it.
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, 0)
        gl.glBindVertexArray(0)
        gl.glUseProgram(0)
        gl.glEnable(gl.GL_BLEND)

    def _draw_meshes(self, position_m: float) -> None:
        gl = self._gl
        gl.glUseProgram(self._bent.id)
        gl.glUniform1f(self._bent.at["position_m"], position_m)
        for n, mesh in self._meshes:
            gl.glUniform1i(self._bent.at["pane"], n)
            gl.glBindVertexArray(mesh.id)
            gl.glDrawElements(gl.GL_TRIANGLES, mesh.count, gl.GL_UNSIGNED_INT, None)

    def _lay(self, laps: Laps) -> None:
        """Say which picture is on which lap; build the walls anew only if a length changed."""
        gl, corridor = self._gl, self._corridor
        if self._laps is None or _lengths(laps) != _lengths(self._laps):
            self._walls.fill(*walls(laps, corridor))
        names = (*(lap.stimulus for lap in laps), corridor.floor or None, corridor.ceiling or None)
        layers = (gl.GLfloat * 5)(*(-1.0 if n is None else self._layer[n] for n in names))
        for program in (self._flat, self._bent):
            gl.glUseProgram(program.id)
            gl.glUniform1fv(program.at["layers"], 5, layers)
            gl.glUniform2f(program.at["fog_m"], *fog_m(laps, corridor))
        gl.glUniform3f(self._bent.at["texture_m"], *(lap.texture_m for lap in laps))
        gl.glUniform3f(self._bent.at["length_m"], *(lap.length_m for lap in laps))
        gl.glUniform3f(self._bent.at["repeats"], *(repeats(lap) for lap in laps))
        self._laps = laps


def _lengths(laps: tuple[Lap, ...]) -> list[tuple[float, float]]:
    return [(lap.texture_m, lap.grey_m) for lap in laps]


def _corrected(panes: Sequence[Pane]) -> bool:
    """Whether a luminance is to become a level or a colour: without a card that takes time."""
    return any(p.readings is not None or p.look.colour != (1.0, 1.0, 1.0) for p in panes)


def _curves(panes: Sequence[Pane]) -> NDArray[np.float32]:
    """Return a gamma curve a screen; those that were measured show the same luminances."""
    black, white = common_range([p.readings for p in panes if p.readings is not None])
    return np.array([lookup(pane.readings, black, white) for pane in panes])


def _colour_at(layout: WindowLayout, colours: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the white of the patch: through the colour mask of the screen that it stands on."""
    patch = layout.patch
    for area, colour in zip(layout.areas, colours.tolist(), strict=True):
        if patch and 0 <= patch.x - area.x < area.width and 0 <= patch.y - area.y < area.height:
            return tuple(colour)
    return 1.0, 1.0, 1.0


def _inside(area: Area, size_px: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the middle and the half sides of an area, where the window goes from -1 to 1."""
    width, height = size_px
    half_x, half_y = area.width / width, area.height / height
    return 2 * area.x / width - 1 + half_x, 2 * area.y / height - 1 + half_y, half_x, half_y
