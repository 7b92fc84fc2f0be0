"""Scores of an alpha against the true one, as in the literature on matting and saliency.

Matting: A Perceptually Motivated Online Benchmark for Image Matting (Rhemann et al. 2009). All
functions take HxW float alphas in [0, 1]; sums are given in thousands, as published tables do.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.float32]

GRADIENT_SIGMA_PX = 1.4  # Rhemann et al. 2009, section 4
F_BETA_SQUARED = 0.3  # Frequency-tuned Salient Region Detection, Achanta et al. 2009
THOUSAND = 1000.0


def mean_absolute_error(alpha: Alpha, truth: Alpha) -> float:
    """MAE, also called MAD: 0 is perfect, 1 is inverted."""
    return float(np.abs(alpha - truth).mean())


def mean_squared_error(alpha: Alpha, truth: Alpha) -> float:
    """Return the mean squared error (MSE)."""
    return float(np.square(alpha - truth).mean())


def sum_of_absolute_differences(alpha: Alpha, truth: Alpha) -> float:
    """SAD in thousands of pixels."""
    return float(np.abs(alpha - truth).sum()) / THOUSAND


def soft_band_error(alpha: Alpha, truth: Alpha) -> float:
    """MAD where the truth is neither 0 nor 1; NaN if there is no such pixel."""
    band = (truth > 0) & (truth < 1)
    return float(np.abs(alpha - truth)[band].mean()) if band.any() else float("nan")


def gradient_error(alpha: Alpha, truth: Alpha) -> float:
    """Squared difference of the gradients' magnitudes, summed, in thousands (Rhemann 2009)."""
    difference = gradient_magnitude(alpha) - gradient_magnitude(truth)
    return float(np.square(difference).sum()) / THOUSAND


def gradient_magnitude(alpha: Alpha) -> Alpha:
    """Magnitude of the first Gaussian derivatives, HxW."""
    smooth, derivative = gaussian_derivative(GRADIENT_SIGMA_PX)
    image = alpha.astype(np.float32, copy=False)
    across = cv2.sepFilter2D(image, -1, derivative, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(image, -1, smooth, derivative, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down).astype(np.float32, copy=False)


def gaussian_derivative(sigma: float) -> tuple[Alpha, Alpha]:
    """A Gaussian and its derivative, cut off below 1 %; the 2-D kernel has unit norm."""
    reach = int(np.ceil(sigma * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * sigma * 0.01))))
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    smooth = np.exp(-(x**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    derivative = -x * smooth / sigma**2
    norm = np.sqrt(np.square(np.outer(smooth, derivative)).sum())
    return (smooth / np.sqrt(norm)).astype(np.float32), (derivative / np.sqrt(norm)).astype(
        np.float32
    )


def intersection_over_union(alpha: Alpha, truth: Alpha) -> float:
    """IoU of both thresholded at one half; 1 if both are empty."""
    predicted, expected = alpha >= 0.5, truth >= 0.5
    union = int((predicted | expected).sum())
    return float((predicted & expected).sum() / union) if union else 1.0


def precision_recall(alpha: Alpha, truth: Alpha) -> NDArray[np.float64]:
    """2x256: precision (1 if nothing is found) and recall at each threshold k / 255."""
    expected = truth >= 0.5
    levels = np.clip(np.round(alpha * 255), 0, 255).astype(np.uint8)
    inside = np.bincount(levels[expected], minlength=256)[::-1].cumsum()[::-1]
    found = np.bincount(levels.ravel(), minlength=256)[::-1].cumsum()[::-1]
    precision = np.where(found > 0, inside / np.maximum(found, 1), 1.0)
    return np.stack([precision, inside / max(int(expected.sum()), 1)])


def max_f_measure(curves: list[NDArray[np.float64]]) -> float:
    """The largest F-measure over all thresholds, of the curves' mean (Achanta et al. 2009)."""
    precision, recall = np.mean(curves, axis=0)
    weighted = F_BETA_SQUARED * precision + recall
    measure = (1 + F_BETA_SQUARED) * precision * recall / np.maximum(weighted, 1e-12)
    return float(measure.max())
