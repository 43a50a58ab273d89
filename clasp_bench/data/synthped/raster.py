"""Which triangle each sample of a picture sees, and how far a light reaches: projection with a depth buffer.

Legend: N vertices, F faces. A vertex is given by its place in a grid of samples, `x` to the right and `y` down, the centre of
sample (i, j) being at x = j, y = i, and by a `key` that is larger the nearer it is and linear on the screen: 1 / depth in
perspective, the height along the light in a parallel projection. A sample sees what the ray through its centre meets
first; there is no other approximation, so that an independent ray caster finds the same.
"""

import numba as nb
import numpy as np

NOTHING = np.float32(-1e30)  # the key where nothing is met


@nb.njit(cache=True)
def cover(x, y, key, faces, top, left, rows, columns):
    """The nearest face of every sample in a window of the grid, -1 for none, and its key: two (rows, columns) arrays."""
    seen = np.full((rows, columns), -1, np.int32)
    nearest = np.full((rows, columns), NOTHING, np.float32)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, bx, cx = x[a] - left, x[b] - left, x[c] - left
        ay, by, cy = y[a] - top, y[b] - top, y[c] - top
        first, last = max(int(np.ceil(min(ay, by, cy))), 0), min(int(np.floor(max(ay, by, cy))), rows - 1)
        start, stop = max(int(np.ceil(min(ax, bx, cx))), 0), min(int(np.floor(max(ax, bx, cx))), columns - 1)
        if first > last or start > stop:
            continue
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0:
            continue
        share = np.float32(1) / area
        bdx, bdy = (by - cy) * share, (cx - bx) * share  # change of a's weight along x and y
        cdx, cdy = (cy - ay) * share, (ax - cx) * share
        for i in range(first, last + 1):
            wa = bdx * (start - cx) + bdy * (i - cy)
            wb = cdx * (start - cx) + cdy * (i - cy)
            for j in range(start, stop + 1):
                if wa >= 0 and wb >= 0 and wa + wb <= 1:
                    k = wa * key[a] + wb * key[b] + (1 - wa - wb) * key[c]
                    if k > nearest[i, j]:
                        nearest[i, j], seen[i, j] = k, f
                wa += bdx
                wb += cdx
    return seen, nearest


@nb.njit(cache=True)
def first_met(x, y, key, faces, at_x, at_y):
    """As `cover`, at single points (J,) anywhere on the screen: faces (J,) int32 and keys (J,) float32."""
    seen = np.full(at_x.shape[0], -1, np.int32)
    nearest = np.full(at_x.shape[0], NOTHING, np.float32)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        low, high = min(y[a], y[b], y[c]), max(y[a], y[b], y[c])
        for j in range(at_x.shape[0]):
            if at_y[j] < low or at_y[j] > high:
                continue
            ax, bx, cx = x[a] - at_x[j], x[b] - at_x[j], x[c] - at_x[j]
            if min(ax, bx, cx) > 0 or max(ax, bx, cx) < 0:
                continue
            ay, by, cy = y[a] - at_y[j], y[b] - at_y[j], y[c] - at_y[j]
            area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
            if area == 0:
                continue
            wa, wb = (bx * cy - cx * by) / area, (cx * ay - ax * cy) / area
            if wa >= 0 and wb >= 0 and wa + wb <= 1:
                k = wa * key[a] + wb * key[b] + (1 - wa - wb) * key[c]
                if k > nearest[j]:
                    nearest[j], seen[j] = k, f
    return seen, nearest


@nb.njit(cache=True)
def transformed(vertices, matrix, offset):
    """``vertices @ matrix.T + offset`` as three contiguous columns (3, N) float32."""
    out = np.empty((3, vertices.shape[0]), np.float32)
    for n in range(vertices.shape[0]):
        px, py, pz = vertices[n, 0], vertices[n, 1], vertices[n, 2]
        for d in range(3):
            out[d, n] = matrix[d, 0] * px + matrix[d, 1] * py + matrix[d, 2] * pz + offset[d]
    return out


@nb.njit(cache=True)
def shadow_map(vertices, faces, axes, texel):
    """The height that a mesh reaches along a light, seen from the light.

    Args:
        axes: (3, 3) rows across, along and towards the light.
        texel: Metres between samples.
    Returns:
        (rows, columns) float32 heights, `NOTHING` where the light passes; (2,) float32 coordinates across and along of
        sample (0, 0).
    """
    placed = transformed(vertices, axes, np.zeros(3, np.float32))
    origin = np.empty(2, np.float32)
    for d in range(2):
        origin[d] = placed[d].min() - 2 * texel
    x, y = (placed[0] - origin[0]) / texel, (placed[1] - origin[1]) / texel
    rows, columns = int(y.max()) + 3, int(x.max()) + 3
    return cover(x, y, placed[2], faces, 0, 0, rows, columns)[1], origin


@nb.njit(cache=True)
def reached(heights, origin, texel, across, along, towards):
    """The share (0 to 1) of the light that passes a `shadow_map` to a point, given in the light's axes."""
    x, y = (across - origin[0]) / texel, (along - origin[1]) / texel
    i, j = int(np.floor(y)), int(np.floor(x))
    if i < 0 or j < 0 or i >= heights.shape[0] - 1 or j >= heights.shape[1] - 1:
        return np.float32(1)
    u, v = np.float32(x - j), np.float32(y - i)
    lit = np.float32(0)
    if heights[i, j] < towards:
        lit += (1 - u) * (1 - v)
    if heights[i, j + 1] < towards:
        lit += u * (1 - v)
    if heights[i + 1, j] < towards:
        lit += (1 - u) * v
    if heights[i + 1, j + 1] < towards:
        lit += u * v
    return lit
