"""What stands behind people: a ground and a wall, drawn from noise and lines at the point each ray meets."""

import numba as nb
import numpy as np

from clasp_bench.data.synthped.texture import noise

# Layout of the numbers, see camera._draw_camera.
GROUND, GROUND_A, GROUND_B, GROUND_SCALE, WALL, WALL_A, WALL_B, WALL_SCALE = 0, 1, 4, 7, 8, 9, 12, 15
DEPTH, HEIGHT, SKY, ACCENT, PHASE, YAW, BAY = 16, 17, 18, 21, 24, 25, 26


@nb.njit(cache=True)
def _mix(out, a, b, t):
    for d in range(3):
        out[d] = a[d] * (1 - t) + b[d] * t


@nb.njit(cache=True)
def _ground(n, x, y, out):
    kind, s, phase = int(n[GROUND]), n[GROUND_SCALE], n[PHASE]
    a, b = n[GROUND_A : GROUND_A + 3], n[GROUND_B : GROUND_B + 3]
    rough = noise(x * 9 + phase, y * 9, 3.0)
    broad = noise(x * 0.8 + phase, y * 0.8, 9.0)
    if kind == 0:
        t = 0.0
        if abs(y - 1.6) < 0.07 or abs(y + 1.9) < 0.05:
            t = 0.85
        _mix(out, a, b, t)
        out *= 0.7 + 0.25 * rough + 0.35 * broad
    elif kind == 1:
        u, v = x / (0.5 * s), y / (0.5 * s)
        iu, iv = np.floor(u), np.floor(v)
        line = u - iu < 0.05 or v - iv < 0.05
        tone = 0.75 + 0.45 * noise(iu * 1.37 + phase, iv * 1.91, 0.5)
        _mix(out, a, b, 0.8 if line else 0.0)
        out *= tone * (0.85 + 0.2 * rough)
    elif kind == 2:
        blades = noise(x * 34 + phase, y * 34, 1.0)
        _mix(out, a, b, min(1.0, max(0.0, 1.5 * blades - 0.3)))
        out *= 0.6 + 0.7 * broad
    elif kind == 3:
        u, v = x / (0.6 * s), y / (0.6 * s)
        even = (np.floor(u) + np.floor(v)) % 2 == 0
        line = u - np.floor(u) < 0.03 or v - np.floor(v) < 0.03
        _mix(out, a, b, (0.0 if even else 0.55) if not line else 0.9)
        out *= 0.9 + 0.15 * broad
    elif kind == 4:
        row = np.floor(y / (0.14 * s))
        u = x / (0.18 * s) + 0.5 * (row % 2)
        v = y / (0.14 * s)
        d = max(abs(u - np.floor(u) - 0.5), abs(v - row - 0.5))
        _mix(out, a, b, 1.0 if d > 0.42 else 0.0)
        out *= 0.65 + 0.5 * noise(np.floor(u) * 2.3 + phase, row * 1.7, 2.0) + 0.15 * rough
    elif kind == 5:  # boards, nailed end to end
        row = np.floor(y / (0.16 * s))
        u = x / 2.4 + 0.37 * row
        gap = y / (0.16 * s) - row < 0.09 or u - np.floor(u) < 0.006
        grain = noise(x * 3 + phase, y * 70, row)
        _mix(out, a, b, 0.9 if gap else 0.35 * grain)
        out *= 0.72 + 0.5 * noise(np.floor(u) * 1.9 + phase, row * 2.7, 6.0)
    else:  # gravel
        stones = noise(x * 80 + phase, y * 80, 5.0)
        _mix(out, a, b, 0.7 * min(1.0, max(0.0, 2.0 * stones - 0.6)))
        out *= 0.65 + 0.35 * broad + 0.2 * rough


@nb.njit(cache=True)
def _wall(n, x, z, out):
    kind, s, phase, bay = int(n[WALL]), n[WALL_SCALE], n[PHASE], n[BAY]
    a, b = n[WALL_A : WALL_A + 3], n[WALL_B : WALL_B + 3]
    accent = n[ACCENT : ACCENT + 3]
    broad = noise(x * 0.5 + phase, z * 0.5, 4.0)
    across = (x + phase) % bay
    door = np.floor((x + phase) / bay) % 3 == 0
    if kind == 0:
        row = np.floor(z / (0.09 * s))
        u = x / (0.26 * s) + 0.5 * (row % 2)
        mortar = u - np.floor(u) < 0.08 or z / (0.09 * s) - row < 0.16
        _mix(out, a, b, 0.7 if mortar else 0.0)
        out *= 0.75 + 0.4 * noise(np.floor(u) * 1.7 + phase, row * 1.3, 1.0)
        if not door and 0.3 * bay < across < 0.7 * bay and 1.1 < z < 2.5:
            _mix(out, accent, b, 0.2)
            edge = across < 0.33 * bay or across > 0.67 * bay or z < 1.17 or z > 2.43 or abs(across - 0.5 * bay) < 0.03
            out *= 1.6 if edge else 0.35
    elif kind == 1:
        u, v = (x + phase) / (1.5 * s), z / (1.1 * s)
        line = u - np.floor(u) < 0.02 or v - np.floor(v) < 0.03
        _mix(out, a, b, 0.9 if line else 0.0)
        out *= 0.8 + 0.3 * noise(np.floor(u) * 3.1 + phase, np.floor(v) * 2.3, 7.0) + 0.15 * broad
    elif kind == 2:
        if z > 2.6:
            _mix(out, accent, a, 0.1)
        elif z < 0.45 or across < 0.14:
            _mix(out, a, b, 0.3)
        else:
            inside = noise(x * 1.7 + phase, z * 1.9, 5.0)
            _mix(out, b, accent, 0.75 if inside > 0.62 else 0.12)
            out *= 0.45 + 0.9 * inside
            if abs(across - 0.57 * bay) < 0.03:
                _mix(out, a, b, 0.0)
    elif kind == 3:
        leaves = noise(x * 11 + phase, z * 11, 2.0)
        clumps = noise(x * 2.3 + phase, z * 2.3, 8.0)
        _mix(out, a, b, min(1.0, max(0.0, 1.7 * leaves - 0.4)))
        out *= 0.5 + 0.9 * clumps
    elif kind == 4:
        _mix(out, a, b, 0.75 if z < 0.6 else 0.0)
        out *= 0.8 + 0.35 * broad
        if door and 0.25 * bay < across < 0.25 * bay + 1.1 and z < 2.15:
            _mix(out, accent, b, 0.15)
            if abs(across - 0.25 * bay - 0.55) > 0.48 or z > 2.05:
                out *= 0.5
    elif kind == 5:
        row = z / (0.11 * s)
        _mix(out, a, b, 0.5 if row - np.floor(row) < 0.3 else 0.0)
        if across < 0.25:
            _mix(out, accent, b, 0.4)
        out *= 0.85 + 0.25 * broad
    elif kind == 6:  # rough stone in courses of unlike heights, with a coping
        course = z / (0.34 * s) + 0.18 * np.sin(5.1 * np.floor(z / (0.34 * s)) + phase)
        row = np.floor(course)
        u = x / (0.55 * s) + 0.41 * row + 0.35 * noise(np.floor(x / (0.55 * s)) + phase, row, 3.0)
        joint = u - np.floor(u) < 0.06 or course - row < 0.09
        _mix(out, a, b, 0.85 if joint else 0.0)
        out *= 0.55 + 0.55 * noise(np.floor(u) * 2.1 + phase, row * 1.7, 8.0) + 0.3 * noise(x * 14, z * 14, phase)
    else:  # a fence of bars on a plinth before shrubs far behind
        behind = noise(x * 1.6 + phase, z * 1.6, 6.0)
        _mix(out, b, accent, min(1.0, max(0.0, 2.0 * behind - 0.9)))
        out *= 0.5 + 0.8 * noise(x * 5 + phase, z * 5, 2.0)
        bar = (x / (0.15 * s)) % 1.0 < 0.17 or across < 0.09
        if z < 0.38 or (z < 2.0 and bar) or 1.82 < z < 1.9 or 0.55 < z < 0.62:
            _mix(out, a, b, 0.05)
    if z < 0.12:
        out *= 0.6


@nb.njit(cache=True)
def paint_backdrop(numbers, origin, directions, place, light, out, ground):
    """Colour where each ray meets ground, wall or sky.

    Args:
        numbers: `Camera.backdrop`.
        origin: (3,) of the camera in the scene's axes, the person's feet at 0.
        directions: (P, 3) of the rays.
        place: (2,) where the person stands on the backdrop.
        light: (2, 3) linear light on ground and on wall.
        out: (P, 3) filled with linear colours.
        ground: (P, 3) filled with the point met on the ground, z < 0 for rays that meet none.
    """
    c, s = np.cos(numbers[YAW]), np.sin(numbers[YAW])
    for p in range(directions.shape[0]):
        dx, dy, dz = directions[p, 0], directions[p, 1], directions[p, 2]
        wall_dy = -s * dx + c * dy
        wall_oy = -s * origin[0] + c * origin[1]
        to_ground = -origin[2] / dz if dz < -1e-6 else 1e9
        to_wall = (numbers[DEPTH] - place[1] - wall_oy) / wall_dy if wall_dy > 1e-6 else 1e9
        ground[p, 2] = -1
        t = min(to_ground, to_wall)
        x, y, z = origin[0] + t * dx, origin[1] + t * dy, origin[2] + t * dz
        along, away = c * x + s * y + place[0], -s * x + c * y + place[1]
        if to_ground < to_wall:
            _ground(numbers, along, away, out[p])
            out[p] *= light[0]
            ground[p, 0], ground[p, 1], ground[p, 2] = x, y, 0
        elif t < 1e8 and z < numbers[HEIGHT]:
            _wall(numbers, along, z, out[p])
            out[p] *= light[1]
        else:
            for d in range(3):
                out[p, d] = numbers[SKY + d]
