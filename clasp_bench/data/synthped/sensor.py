"""What a camera's optics, sensor and encoder make of light."""

import cv2
import numpy as np
import simplejpeg

from clasp_bench.data.synthped.camera import Camera


def expose(light: np.ndarray, camera: Camera, rng: np.random.Generator, blur_rows: int) -> np.ndarray:
    """Optics and sensor: blur, exposure, colour cast, curve, noise. (H, W, 3) linear to uint8.

    Args:
        blur_rows: Rows of a picture of which 128 rows have the camera's own blur.
    """
    blur = camera.blur * blur_rows / 128
    streak = float(np.hypot(blur, camera.motion * blur_rows / 128))
    light = cv2.GaussianBlur(light, (0, 0), sigmaX=streak, sigmaY=blur)
    light = light * (camera.exposure * camera.cast).astype(np.float32)
    light = light * (1 + light * 0.06) / (1 + light * 0.55)  # shoulder: highlights do not clip hard
    signal = 255 * np.clip(light * 1.25, 0, 1) ** np.float32(camera.contrast / 2.2)
    signal += rng.standard_normal(signal.shape, dtype=np.float32) * np.float32(camera.noise)
    return np.clip(signal + 0.5, 0, 255).astype(np.uint8)


def encode(rgb: np.ndarray, camera: Camera) -> bytes:
    """The camera's JPEG of (H, W, 3) uint8."""
    return simplejpeg.encode_jpeg(rgb, quality=camera.quality, colorspace="RGB", colorsubsampling="420")
