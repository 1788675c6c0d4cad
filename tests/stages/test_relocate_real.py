"""Relocation on real nuclei: two imaging rounds of one field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops_table
from skimage.segmentation import watershed
from tifffile import imread

from ctcfish.parameters import Relocate
from ctcfish.stages.relocate import relocate

PIXEL_UM = 0.52
"""Makes the median nucleus 9 um wide; the files carry no pixel size."""


def _nuclei(file: Path) -> pd.DataFrame:
    """Otsu on the logarithm and watershed of the distance: not the program's own segmentation."""
    image = gaussian(np.log1p(imread(file)), 1)
    mask = image > threshold_otsu(image)
    distance = gaussian(distance_transform_edt(mask), 1)
    peaks = peak_local_max(distance, min_distance=4, labels=label(mask))
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    table = pd.DataFrame(
        regionprops_table(watershed(-distance, seeds, mask=mask), properties=("label", "centroid", "area"))
    )
    table = table[table["area"] > 20].rename(columns={"centroid-0": "y_um", "centroid-1": "x_um", "area": "area_um2"})
    return table * [1, PIXEL_UM, PIXEL_UM, PIXEL_UM**2]


@pytest.mark.parametrize("turned", [False, True])
def test_two_rounds_of_one_field(shared_data: Path, turned: bool) -> None:
    here = _nuclei(shared_data / "registration" / "anchor_nuclei_downsampled.tiff")
    there = _nuclei(shared_data / "registration" / "r1_DAPI_downsampled.tiff")
    if turned:
        there = there.assign(y_um=there["x_um"] + 70, x_um=there["y_um"] - 300)
    result = relocate(
        here.rename(columns={"label": "if_label"}).assign(if_scene="anchor"), there.assign(scene="r1"), Relocate()
    )
    assert result.trusted
    transform = result.transforms[0]
    assert transform["n_matched"] > 200
    assert transform["scale"] == pytest.approx(1.0, abs=0.003)
    assert transform["mirrored"] == turned
    matrix = np.array(transform["matrix"])
    middle = np.array([450.0, 310.0]) * PIXEL_UM
    moved = matrix[:, :2] @ middle + matrix[:, 2]
    if turned:
        moved = moved[::-1] - [-300, 70]
    # The published shift of the pair: about (-11.4, 3.8) px from the second round to the first.
    np.testing.assert_allclose((moved - middle) / PIXEL_UM, [11.4, -3.8], atol=1.0)
    assert result.matches["residual_um"].median() < 1.0
