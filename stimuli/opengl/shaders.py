"""GLSL shaders: the corridor on flat and on warped screens, and open-loop stimuli.

All fragment shaders end in `light`: a texture's luminance is mixed with fog, then converted by the
gamma table and the colour mask of the screen.
"""

MAX_SCREENS = 8
"""Largest number of screens: the size of the uniform arrays below."""

VERSION = b"#version 330\n"
CORRECTED = b"#define CORRECTED\n"
"""First line of a fragment shader if any screen has a gamma table or a colour mask.

Without a graphics card the correction is slow, so it is omitted if it would change nothing.
"""

_LIGHT = b"""uniform sampler2DArray textures;
uniform sampler2D gamma;
uniform vec3 colours[8];
uniform vec2 fog_m;
uniform float grey;
out vec4 colour;
void light(float level, float distance_m, int screen) {
    float fog = clamp((distance_m - fog_m.x) / (fog_m.y - fog_m.x), 0.0, 1.0);
    float luminance = mix(level, grey, fog);
#ifdef CORRECTED
    vec2 size = vec2(textureSize(gamma, 0));
    vec2 at = (vec2(luminance * (size.x - 1.0), screen) + 0.5) / size;
    colour = vec4(colours[screen] * texture(gamma, at).r, 1.0);
#else
    colour = vec4(vec3(luminance), 1.0);
#endif
}
"""

FLAT_VERTEX = b"""layout(location = 0) in vec3 place;
layout(location = 1) in vec3 texcoord_part;
uniform mat4 views[8];
uniform vec4 areas[8];
uniform float position_m;
uniform float layers[5];
out vec3 from_eye;
out vec2 texcoord;
flat out float layer;
flat out int screen;
out float gl_ClipDistance[4];
void main() {
    screen = gl_InstanceID;
    from_eye = place + vec3(0.0, 0.0, position_m);
    vec4 at = views[screen] * vec4(from_eye, 1.0);
    gl_ClipDistance[0] = at.w + at.x;
    gl_ClipDistance[1] = at.w - at.x;
    gl_ClipDistance[2] = at.w + at.y;
    gl_ClipDistance[3] = at.w - at.y;
    gl_Position = vec4(areas[screen].xy * at.w + areas[screen].zw * at.xy, at.zw);
    texcoord = texcoord_part.xy;
    layer = layers[int(texcoord_part.z + 0.5)];
}"""
"""Vertex shader that draws the walls once per screen (as an instance), clipped to its area.

`layers` contains the texture layer of each part of the walls: laps 0 to 2, floor, ceiling; -1 is
grey.
"""

FLAT_FRAGMENT = (
    _LIGHT
    + b"""
in vec3 from_eye;
in vec2 texcoord;
flat in float layer;
flat in int screen;
void main() {
    float level = layer < 0.0 ? grey : texture(textures, vec3(texcoord, layer)).r;
    light(level, length(from_eye), screen);
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
    _LIGHT
    + b"""
in vec3 toward;
uniform int screen;
uniform float position_m;
uniform float layers[5];
uniform vec3 tube_m;
uniform vec3 texture_m;
uniform vec3 length_m;
uniform vec3 repeats;
uniform vec2 texture_size_m;
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
    vec3 dx = dFdx(toward), dy = dFdy(toward);
    float sx = wall ? dx.x / toward.x : dx.y / toward.y;
    float sy = wall ? dy.x / toward.x : dy.y / toward.y;
    vec3 hit_dx = (dx - toward * sx) * reach, hit_dy = (dy - toward * sy) * reach;
    float along = wall ? 1.0 / texture_size_m.x : repeats[lap] / length_m[lap];
    float up = 1.0 / texture_size_m.y;
    vec2 texcoord = vec2(within * along, (wall ? hit.y - tube_m.y : hit.x) * up);
    vec2 step_x = vec2(-hit_dx.z * along, (wall ? hit_dx.y : hit_dx.x) * up);
    vec2 step_y = vec2(-hit_dy.z * along, (wall ? hit_dy.y : hit_dy.x) * up);
    float layer = wall ? layers[lap] : layers[below ? 3 : 4];
    bool bare = layer < 0.0 || (wall && within > texture_m[lap]) || within < 0.0;
    float level = bare ? grey
        : textureGrad(textures, vec3(texcoord, layer), step_x, step_y).r;
    light(level, length(hit), screen);
}"""
)
"""Fragment shader for warped screens: follows the ray of each pixel to the surface that it hits.

The derivatives for mipmapping are those of the hit point along x and y of the window. They are
computed from the derivatives of the ray's direction, which is smooth, and not from those of the
texture coordinates, which jump between laps.
"""

OPEN_LOOP_FRAGMENT = (
    _LIGHT
    + b"""
in vec3 toward;
uniform int screen;
uniform vec4 field;
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
        vec2 texcoord = (at - field.xz) / (field.yw - field.xz);
        level = texture(textures, vec3(texcoord, layer)).r;
    } else if (abs(dot(across, at) - middle) < half_width) {
        vec2 square = floor(at / checks);
        level = mod(square.x + square.y + reversed, 2.0);
    }
    light(level, 0.0, screen);
}"""
)
"""Fragment shader that converts the ray of each pixel to azimuth and elevation, and draws an image
or a bar there."""
