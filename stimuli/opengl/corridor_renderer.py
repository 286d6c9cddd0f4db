"""Draw the corridor with OpenGL into the current window; one draw call serves all flat screens.

The OpenGL functions are passed in as `gl`, so that this file imports no vendor library.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stimuli.opengl.gl_resources import (
    Program,
    Vertices,
    gamma_texture,
    mesh_vertices,
    texture_array,
)
from stimuli.opengl.open_loop_renderer import OpenLoopRenderer
from stimuli.opengl.shaders import (
    CORRECTED,
    FLAT_FRAGMENT,
    FLAT_VERTEX,
    MESH_FRAGMENT,
    MESH_VERTEX,
    VERSION,
)
from stimuli.scene.corridor_geometry import Lap, Laps, fog_m, projection, repeats, walls
from stimuli.scene.open_loop import field_of_view
from stimuli.scene.screen import RenderSetup, Scene
from stimuli.screens.gamma import common_range, correction_table
from stimuli.screens.screen_geometry import Mesh, PhysicalScreen, to_mesh
from stimuli.screens.window_layout import Area, WindowLayout
from stimuli.textures.names import GREY, TEXTURE_HEIGHT_M, TEXTURE_M

Colour = tuple[float, float, float]
"""Red, green and blue, 0 to 1."""

_UNIFORMS = ("textures", "gamma", "colours", "fog_m", "grey", "position_m", "layers")
_FLAT_UNIFORMS = (*_UNIFORMS, "views", "areas")
_MESH_UNIFORMS = (
    *_UNIFORMS, "screen", "tube_m", "texture_m", "length_m", "repeats", "texture_size_m",
)  # fmt: skip


class CorridorRenderer:
    """The corridor's mesh, textures and shaders in the current OpenGL context."""

    def __init__(
        self, gl: Any, setup: RenderSetup, layout: WindowLayout, anisotropy: float
    ) -> None:
        """Upload mesh, textures and shaders. Raises Refused if the graphics card cannot."""
        self._gl, self._layout, self._corridor = gl, layout, setup.corridor
        self._layer = {name: float(n) for n, name in enumerate(setup.textures)}
        self._laps: Laps | None = None
        screens, areas = setup.screens, [_centre_and_half(a, layout.size_px) for a in layout.areas]
        tables = _gamma_tables(screens)
        colours = np.array([screen.settings.colour for screen in screens])
        self._set_greys(colours * tables[:, GREY, None])
        self._patch_white = _mask_at_patch(layout, colours)
        self._textures = texture_array(gl, setup.textures, anisotropy)
        self._gamma = gamma_texture(gl, tables)
        self._flat_count = sum(not isinstance(screen.surface, Mesh) for screen in screens)
        self._walls = Vertices(gl, (3, 3))
        header = VERSION + (CORRECTED if _needs_correction(screens) else b"")
        self._flat = Program(gl, VERSION + FLAT_VERTEX, header + FLAT_FRAGMENT, _FLAT_UNIFORMS)
        self._warped = Program(gl, VERSION + MESH_VERTEX, header + MESH_FRAGMENT, _MESH_UNIFORMS)
        meshes = [
            mesh_vertices(gl, to_mesh(screen.surface), area)
            for screen, area in zip(screens, areas, strict=True)
        ]
        self._meshes = list(enumerate(meshes))[self._flat_count :]
        masks = colours.astype(np.float32)
        self._open_loop = OpenLoopRenderer(gl, header, setup.images, meshes, masks)
        self._field = field_of_view(screens)
        self._set_constant_uniforms(masks)
        self._set_flat_screens(screens[: self._flat_count], areas)

    def draw(self, scene: Scene) -> None:
        """Draw a scene into the back buffer: grey, the walls on every screen, the patch."""
        gl = self._gl
        gl.glDisable(gl.GL_SCISSOR_TEST)
        self._clear(self.grey)
        if self.other_greys:
            self._clear_areas(self.other_greys)
        if scene.laps is not None:
            self._draw_corridor(scene.laps, scene.position_m)
        if scene.open_loop is not None:
            self._open_loop.draw(scene.open_loop, self._field)
        if self._layout.patch is not None:
            level = self._patch_white if scene.patch_bright else (0.0, 0.0, 0.0)
            self._clear_areas(((self._layout.patch, level),))

    def draw_pixels(self, pixels: NDArray[np.uint8]) -> None:
        """Draw an image of the whole window: height x width x 3 levels, row 0 at the top."""
        gl, (width, height) = self._gl, self._layout.size_px
        assert pixels.shape == (height, width, 3), "the image must have the window's size"
        rows = np.ascontiguousarray(pixels[::-1])
        for test in (gl.GL_SCISSOR_TEST, gl.GL_DEPTH_TEST, gl.GL_TEXTURE_2D):
            gl.glDisable(test)
        gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
        gl.glWindowPos2i(0, 0)
        gl.glDrawPixels(width, height, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, rows.ctypes.data)

    def _set_greys(self, greys: NDArray[np.float64]) -> None:
        """Set the grey of the window, and find the screens whose corrected grey differs from it."""
        first, *_ = colours = [(float(r), float(g), float(b)) for r, g, b in greys]
        self.grey: Colour = first
        """The colour that must be sent to the first screen to show grey."""
        self.other_greys = [
            (area, colour)
            for area, colour in zip(self._layout.areas, colours, strict=True)
            if colour != first
        ]

    def _set_constant_uniforms(self, masks: NDArray[np.float32]) -> None:
        gl = self._gl
        for program in (self._flat, self._warped):
            gl.glUseProgram(program.id)
            gl.glUniform1i(program.at["textures"], 0)
            gl.glUniform1i(program.at["gamma"], 1)
            values = (gl.GLfloat * masks.size)(*masks.ravel())
            gl.glUniform3fv(program.at["colours"], len(masks), values)
            gl.glUniform1f(program.at["grey"], GREY / 255)
        tube = (self._corridor.half_width_cm, self._corridor.floor_cm, self._corridor.ceiling_cm)
        gl.glUniform3f(self._warped.at["tube_m"], *(side / 100 for side in tube))
        gl.glUniform2f(self._warped.at["texture_size_m"], TEXTURE_M, TEXTURE_HEIGHT_M)
        gl.glUseProgram(0)
        gl.glActiveTexture(gl.GL_TEXTURE1)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._gamma)
        gl.glActiveTexture(gl.GL_TEXTURE0)

    def _set_flat_screens(
        self,
        screens: Sequence[PhysicalScreen],
        areas: Sequence[tuple[float, float, float, float]],
    ) -> None:
        """Set the projection and the area of each flat screen."""
        gl = self._gl
        gl.glUseProgram(self._flat.id)
        for n, screen in enumerate(screens):
            assert not isinstance(screen.surface, Mesh)
            matrix = (gl.GLfloat * 16)(*projection(screen.surface).T.ravel())
            gl.glUniformMatrix4fv(self._flat.at["views"] + n, 1, 0, matrix)
            gl.glUniform4f(self._flat.at["areas"] + n, *areas[n])
        gl.glUseProgram(0)
        for edge in range(4):  # clip each instance of the walls to its screen
            gl.glEnable(gl.GL_CLIP_DISTANCE0 + edge)

    def _clear(self, colour: Colour) -> None:
        self._gl.glClearColor(*colour, 1.0)
        self._gl.glClear(self._gl.GL_COLOR_BUFFER_BIT)

    def _clear_areas(self, areas: Sequence[tuple[Area, Colour]]) -> None:
        gl = self._gl
        gl.glEnable(gl.GL_SCISSOR_TEST)
        for area, colour in areas:
            gl.glScissor(*area)
            self._clear(colour)
        gl.glDisable(gl.GL_SCISSOR_TEST)

    def _draw_corridor(self, laps: Laps, position_m: float) -> None:
        """Draw the walls. No depth buffer is needed, as inside a tube no surface hides another."""
        gl = self._gl
        if laps != self._laps:
            self._set_laps(laps)
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, self._textures)
        gl.glDisable(gl.GL_BLEND)
        gl.glDisable(gl.GL_DEPTH_TEST)
        if self._flat_count:
            gl.glUseProgram(self._flat.id)
            gl.glUniform1f(self._flat.at["position_m"], position_m)
            gl.glBindVertexArray(self._walls.id)
            triangles, kind = self._walls.count, gl.GL_UNSIGNED_INT
            gl.glDrawElementsInstanced(gl.GL_TRIANGLES, triangles, kind, None, self._flat_count)
        if self._meshes:
            self._draw_warped(position_m)
        # PsychoPy's flip uses the fixed-function pipeline and expects this state.
        gl.glBindTexture(gl.GL_TEXTURE_2D_ARRAY, 0)
        gl.glBindVertexArray(0)
        gl.glUseProgram(0)
        gl.glEnable(gl.GL_BLEND)

    def _draw_warped(self, position_m: float) -> None:
        gl = self._gl
        gl.glUseProgram(self._warped.id)
        gl.glUniform1f(self._warped.at["position_m"], position_m)
        for number, mesh in self._meshes:
            gl.glUniform1i(self._warped.at["screen"], number)
            gl.glBindVertexArray(mesh.id)
            gl.glDrawElements(gl.GL_TRIANGLES, mesh.count, gl.GL_UNSIGNED_INT, None)

    def _set_laps(self, laps: Laps) -> None:
        """Set the texture of each lap; rebuild the walls only if a length has changed."""
        gl, corridor = self._gl, self._corridor
        if self._laps is None or _lengths(laps) != _lengths(self._laps):
            self._walls.fill(*walls(laps, corridor))
        names = (*(lap.stimulus for lap in laps), corridor.floor or None, corridor.ceiling or None)
        layers = (gl.GLfloat * 5)(*(-1.0 if n is None else self._layer[n] for n in names))
        for program in (self._flat, self._warped):
            gl.glUseProgram(program.id)
            gl.glUniform1fv(program.at["layers"], 5, layers)
            gl.glUniform2f(program.at["fog_m"], *fog_m(laps, corridor))
        gl.glUniform3f(self._warped.at["texture_m"], *(lap.texture_m for lap in laps))
        gl.glUniform3f(self._warped.at["length_m"], *(lap.length_m for lap in laps))
        gl.glUniform3f(self._warped.at["repeats"], *(repeats(lap) for lap in laps))
        self._laps = laps


def _lengths(laps: tuple[Lap, ...]) -> list[tuple[float, float]]:
    return [(lap.texture_m, lap.grey_m) for lap in laps]


def _needs_correction(screens: Sequence[PhysicalScreen]) -> bool:
    """Return True if any screen has a gamma table or a colour mask."""
    return any(s.readings is not None or s.settings.colour != (1.0, 1.0, 1.0) for s in screens)


def _gamma_tables(screens: Sequence[PhysicalScreen]) -> NDArray[np.float32]:
    """Return a gamma table for each screen, with a common range of luminance."""
    black, white = common_range([s.readings for s in screens if s.readings is not None])
    return np.array([correction_table(screen.readings, black, white) for screen in screens])


def _mask_at_patch(layout: WindowLayout, colours: NDArray[np.float64]) -> Colour:
    """Return the white of the patch, which is the colour mask of its screen."""
    patch = layout.patch
    for area, colour in zip(layout.areas, colours.tolist(), strict=True):
        if patch and 0 <= patch.x - area.x < area.width and 0 <= patch.y - area.y < area.height:
            return tuple(colour)
    return 1.0, 1.0, 1.0


def _centre_and_half(area: Area, size_px: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return centre (x, y) and half size of an area in a window that goes from -1 to 1."""
    width, height = size_px
    half_x, half_y = area.width / width, area.height / height
    return 2 * area.x / width - 1 + half_x, 2 * area.y / height - 1 + half_y, half_x, half_y
