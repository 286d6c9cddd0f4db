"""The programs of the graphics card: the corridor on flat screens and through a mesh, the sky.

All end in the same colour: a picture's luminance, lost in fog, by the screen's gamma and mask.
"""

MOST_PANES = 8

VERSION = b"#version 330\n"
CORRECTED = b"#define CORRECTED\n"
"""Goes before a fragment shader where a screen has a gamma curve or a colour mask."""

_LIT = b"""uniform sampler2DArray pictures;
uniform sampler2D gamma;
uniform vec3 colours[8];
uniform vec2 fog_m;
uniform float grey;
out vec4 colour;
void light(float level, float distance_m, int pane) {
    float fog = clamp((distance_m - fog_m.x) / (fog_m.y - fog_m.x), 0.0, 1.0);
    float luminance = mix(level, grey, fog);
#ifdef CORRECTED
    vec2 size = vec2(textureSize(gamma, 0));
    vec2 at = (vec2(luminance * (size.x - 1.0), pane) + 0.5) / size;
    colour = vec4(colours[pane] * texture(gamma, at).r, 1.0);
#else
    colour = vec4(vec3(luminance), 1.0);
#endif
}
"""

FLAT_VERTEX = b"""layout(location = 0) in vec3 place;
layout(location = 1) in vec3 laid;
uniform mat4 views[8];
uniform vec4 areas[8];
uniform float position_m;
uniform float layers[5];
out vec3 from_eye;
out vec2 on_wall;
flat out float layer;
flat out int pane;
out float gl_ClipDistance[4];
void main() {
    pane = gl_InstanceID;
    from_eye = place + vec3(0.0, 0.0, position_m);
    vec4 at = views[pane] * vec4(from_eye, 1.0);
    gl_ClipDistance[0] = at.w + at.x;
    gl_ClipDistance[1] = at.w - at.x;
    gl_ClipDistance[2] = at.w + at.y;
    gl_ClipDistance[3] = at.w - at.y;
    gl_Position = vec4(areas[pane].xy * at.w + areas[pane].zw * at.xy, at.zw);
    on_wall = laid.xy;
    layer = layers[int(laid.z + 0.5)];
}"""
"""Every screen is one instance of the walls, cut at its edges and put into its area."""

FLAT_FRAGMENT = (
    _LIT
    + b"""
in vec3 from_eye;
in vec2 on_wall;
flat in float layer;
flat in int pane;
void main() {
    float level = layer < 0.0 ? grey : texture(pictures, vec3(on_wall, layer)).r;
    light(level, length(from_eye), pane);
}"""
)

MESH_VERTEX = b"""layout(location = 0) in vec2 at;
layout(location = 1) in vec3 point;
out vec3 toward;
out float gl_ClipDistance[4];
void main() {
    gl_Position = vec4(at, 0.0, 1.0);
    for (int edge = 0; edge < 4; edge++) gl_ClipDistance[edge] = 1.0;
    toward = point;
}"""

MESH_FRAGMENT = (
    _LIT
    + b"""
in vec3 toward;
uniform int pane;
uniform float position_m;
uniform float layers[5];
uniform vec3 tube_m;
uniform vec3 texture_m;
uniform vec3 length_m;
uniform vec3 repeats;
uniform vec2 picture_m;
void main() {
    bool below = toward.y < 0.0;
    float to_wall = tube_m.x / abs(toward.x);
    float to_plane = (below ? tube_m.y : tube_m.z) / toward.y;
    bool wall = to_wall < to_plane;
    float reach = wall ? to_wall : to_plane;
    vec3 hit = toward * reach;
    float ahead = position_m - hit.z;
    int lap = ahead < 0.0 ? 0 : ahead < length_m.y ? 1 : 2;
    float within = ahead - (lap == 0 ? -length_m.x : lap == 1 ? 0.0 : length_m.y);
    // How the hit moves from pixel to pixel, from the smooth change of direction alone.
    vec3 dx = dFdx(toward), dy = dFdy(toward);
    float sx = wall ? dx.x / toward.x : dx.y / toward.y;
    float sy = wall ? dy.x / toward.x : dy.y / toward.y;
    vec3 hit_dx = (dx - toward * sx) * reach, hit_dy = (dy - toward * sy) * reach;
    float along = wall ? 1.0 / picture_m.x : repeats[lap] / length_m[lap];
    float up = 1.0 / picture_m.y;
    vec2 on_wall = vec2(within * along, (wall ? hit.y - tube_m.y : hit.x) * up);
    vec2 step_x = vec2(-hit_dx.z * along, (wall ? hit_dx.y : hit_dx.x) * up);
    vec2 step_y = vec2(-hit_dy.z * along, (wall ? hit_dy.y : hit_dy.x) * up);
    float layer = wall ? layers[lap] : layers[below ? 3 : 4];
    bool bare = layer < 0.0 || (wall && within > texture_m[lap]) || within < 0.0;
    float level = bare ? grey
        : textureGrad(pictures, vec3(on_wall, layer), step_x, step_y).r;
    light(level, length(hit), pane);
}"""
)
"""Every pixel's line of sight is followed to the wall, floor or ceiling that it meets."""

SKY_FRAGMENT = (
    _LIT
    + b"""
in vec3 toward;
uniform int pane;
uniform vec4 sight;
uniform float layer;
uniform vec2 across;
uniform float middle;
uniform float half_width;
uniform float checks;
uniform float reversed;
void main() {
    vec2 at = vec2(atan(toward.x, -toward.z), atan(toward.y, length(toward.xz)));
    float level = grey;
    if (layer >= 0.0) {
        vec2 on_image = (at - sight.xz) / (sight.yw - sight.xz);
        level = texture(pictures, vec3(on_image, layer)).r;
    } else if (abs(dot(across, at) - middle) < half_width) {
        vec2 square = floor(at / checks);
        level = mod(square.x + square.y + reversed, 2.0);
    }
    light(level, 0.0, pane);
}"""
)
"""Every pixel's line of sight as azimuth and elevation: an image, or a bar of a checkerboard."""
