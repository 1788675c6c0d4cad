"""Detection on scenes drawn here, with every signal known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from ctcfish import tables
from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.parameters import Detect, Survey
from ctcfish.stages.detect import _bright_members, _cluster_frame, detect, detect_spots
from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.stages.signals.clusters import Clusters
from ctcfish.stages.survey import SceneInfo, merge, survey
from ctcfish.types import Detections, Nuclei, SlideModel
from tests import make

PIXEL_UM, STEP_UM = 0.1, 0.3
DEFAULTS = Detect()
SIGMA_PX, SIGMA_Z = 1.4, 1.4
SIZE = (260, 300)


@dataclasses.dataclass
class Drawing:
    """A scene under construction: expected photons of both channels and the nuclei.

    ::

        +--------------------------+
        |  (1)   (2)   (3)   (4)   |   four rows of nuclei 50 px across,
        |  (5)   (6)   ...         |   60 px apart, from (35, 35)
        +--------------------------+
    """

    planes: int

    def __post_init__(self) -> None:
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        self.labels = np.zeros(SIZE, np.int32)
        self.centres = [(cy, cx) for cy in range(35, 240, 60) for cx in range(35, 290, 60)]
        for label, (cy, cx) in enumerate(self.centres, 1):
            self.labels[(y - cy) ** 2 + (x - cx) ** 2 < 25**2] = label
        plane = 15.0 + 25.0 * gaussian_filter((self.labels > 0).astype(float), 1.8)
        self.light = {role: np.repeat(plane[None], self.planes, 0) for role in ("her2", "cep17")}

    def add(self, role: str, zyx: tuple[float, float, float], photons: float, width: float = 1.0) -> None:
        z, y, x = np.ogrid[: self.planes, : SIZE[0], : SIZE[1]]
        sigma = SIGMA_PX * width
        spot = np.exp(-((y - zyx[1]) ** 2 + (x - zyx[2]) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
        if self.planes > 1:
            axial = SIGMA_Z * width
            spot = spot * np.exp(-((z - zyx[0]) ** 2) / (2 * axial**2)) / np.sqrt(2 * np.pi) / axial
        self.light[role] += photons * spot

    def photograph(self, seed: int = 0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        noisy = {k: 100 + 2 * (rng.poisson(v) + rng.normal(0, 2, v.shape)) for k, v in self.light.items()}
        return {k: np.round(v).astype(np.uint16) for k, v in noisy.items()}

    @property
    def voxel_um(self) -> tuple[float, float, float]:
        return (STEP_UM if self.planes > 1 else 0.0, PIXEL_UM, PIXEL_UM)

    @property
    def nuclei(self) -> Nuclei:
        return from_labels(self.labels, (PIXEL_UM, PIXEL_UM))


def two_and_two(planes: int, photons: float = 2500.0) -> tuple[Drawing, pd.DataFrame]:
    """Two signals of each colour in every nucleus, well apart."""
    drawing, rng, rows = Drawing(planes), np.random.default_rng(8), []
    for label, (cy, cx) in enumerate(drawing.centres, 1):
        for role, offsets in (("her2", ((-9, -6), (9, -6))), ("cep17", ((-9, 9), (9, 9)))):
            for dy, dx in offsets:
                z = planes // 2 + rng.uniform(-0.5, 0.5) if planes > 1 else 0.0
                place = (z, cy + dy + rng.uniform(-1, 1), cx + dx + rng.uniform(-1, 1))
                light = photons * np.exp(rng.normal(0, 0.25))
                drawing.add(role, place, light)
                rows.append((label, role.upper(), *place, light))
    return drawing, pd.DataFrame(rows, columns=["label", "probe", "z", "y", "x", "photons"])


def model_of(drawing: Drawing, pixels: dict[str, np.ndarray], params: Detect = DEFAULTS) -> SlideModel:
    field = survey(pixels, drawing.nuclei, SceneInfo(drawing.voxel_um), Survey(), params)
    return merge([field], Survey(), params)


def look(drawing: Drawing, pixels: dict[str, np.ndarray], params: Detect = DEFAULTS) -> Detections:
    return detect(pixels, drawing.nuclei, drawing.voxel_um, model_of(drawing, pixels, params), params)


def at(spots: pd.DataFrame, y: float, x: float, radius_px: float = 2.0) -> pd.DataFrame:
    distance = np.hypot(spots["y_um"] / PIXEL_UM - y, spots["x_um"] / PIXEL_UM - x)
    return spots[distance < radius_px]


@pytest.fixture(scope="module", params=[1, 9], ids=["plane", "stack"])
def scene(request: pytest.FixtureRequest) -> tuple[Drawing, pd.DataFrame, dict[str, np.ndarray], Detections]:
    drawing, truth = two_and_two(request.param)
    pixels = drawing.photograph()
    return drawing, truth, pixels, look(drawing, pixels)


def test_every_signal_is_found_once_in_its_nucleus(scene) -> None:
    _, truth, _, found = scene
    counted = found.spots[found.spots["status"] == "counted"]
    for probe in ("HER2", "CEP17"):
        own, true = counted[counted["probe"] == probe], truth[truth["probe"] == probe]
        assert len(own) == pytest.approx(len(true), abs=1)
        distance, nearest = cKDTree(true[["y", "x"]]).query(own[["y_um", "x_um"]] / PIXEL_UM)
        assert (distance < 1.0).mean() > 0.97
        assert (own["label"].to_numpy() == true["label"].to_numpy()[nearest])[distance < 1].all()


def test_places_and_photons_are_unbiased(scene) -> None:
    drawing, truth, _, found = scene
    own, true = (t[t["probe"] == "HER2"] for t in (found.spots[found.spots["status"] == "counted"], truth))
    _, nearest = cKDTree(true[["y", "x"]]).query(own[["y_um", "x_um"]] / PIXEL_UM)
    matched = true.iloc[nearest]
    for axis, size in (("y", PIXEL_UM), ("x", PIXEL_UM), ("z", STEP_UM)):
        error = own[f"{axis}_um"].to_numpy() / size - matched[axis].to_numpy()
        assert abs(np.median(error)) < 0.06
        assert np.median(np.abs(error)) < 0.15
    assert np.median(own["photons"].to_numpy() / matched["photons"].to_numpy()) == pytest.approx(1.0, abs=0.06)
    assert own["background"].median() == pytest.approx(40.0, rel=0.1)
    assert own["sigma_um"].median() == pytest.approx(SIGMA_PX * PIXEL_UM, rel=0.12)
    assert (own["z_um"] == 0).all() == (drawing.planes == 1)


def test_rows_follow_the_declaration(scene) -> None:
    _, _, _, found = scene
    spots = found.spots.assign(slide_id="s", scene="f", cell_id=None)
    assert tables.SPOTS.check(spots)["spot_id"].tolist() == list(range(1, len(spots) + 1))
    tables.CLUSTERS.check(found.clusters.assign(slide_id="s", scene="f"))
    assert set(found.spots["status"]) <= set(tables.STATUSES)
    assert found.spots["probability"].between(0, 1).all()


def test_the_same_image_gives_the_same_bytes(scene) -> None:
    drawing, _, pixels, found = scene
    again = look(drawing, pixels)
    pd.testing.assert_frame_equal(again.spots, found.spots, check_exact=True)
    pd.testing.assert_frame_equal(again.clusters, found.clusters, check_exact=True)


@pytest.mark.parametrize("planes", [1, 9])
def test_rejected_objects_stay_with_their_reason(planes: int) -> None:
    drawing, _ = two_and_two(planes)
    z = planes // 2
    granule, blob = (95.0, 100.0), (155.0, 215.0)
    for role in ("her2", "cep17"):
        drawing.add(role, (z, *granule), 5000.0, 1.4)
    drawing.add("her2", (z, *blob), 30000.0 if planes == 1 else 200000.0, 4.0)
    outside = (65.0, 65.0)
    drawing.add("her2", (z, *outside), 4000.0)
    pixels = drawing.photograph()
    pixels["cep17"][z, 36, 98] += 900
    spots = look(drawing, pixels).spots
    for probe in ("HER2", "CEP17"):
        mine = at(spots[spots["probe"] == probe], *granule)
        assert mine["status"].tolist() == ["vetoed"]
        assert mine["flags"].str.contains("BOTH_COLOURS").all()
    broad = at(spots[spots["probe"] == "HER2"], *blob, 8.0)
    assert len(broad)
    assert not (broad["status"] == "counted").any()
    assert broad["flags"].str.contains("BROAD").any()
    assert at(spots, *outside)["status"].tolist() == ["outside"]
    hot = at(spots[spots["probe"] == "CEP17"], 36, 98, 1.0)
    assert hot["status"].tolist() == ["vetoed"]
    assert hot["flags"].str.contains("HOT_PIXEL").all()


def test_leaked_light_is_no_signal() -> None:
    drawing, truth = two_and_two(9, 6000.0)
    drawing.light["cep17"] += 0.15 * (drawing.light["her2"] - drawing.light["her2"].min())
    pixels = drawing.photograph()
    model = model_of(drawing, pixels)
    assert model.crosstalk["HER2>CEP17"] == pytest.approx(0.15, abs=0.06)
    assert model.crosstalk["CEP17>HER2"] == pytest.approx(0.0, abs=0.03)
    spots = look(drawing, pixels).spots
    cep17 = spots[(spots["probe"] == "CEP17") & (spots["status"] == "counted")]
    assert len(cep17) == pytest.approx((truth["probe"] == "CEP17").sum(), abs=2)
    ghosts = spots[(spots["probe"] == "CEP17") & spots["flags"].str.contains("CROSSTALK")]
    assert len(ghosts) > 20
    assert (ghosts["status"] == "vetoed").all()


def test_a_cluster_has_copies_with_an_interval() -> None:
    drawing, _ = two_and_two(1)
    rng = np.random.default_rng(9)
    for _ in range(12):
        drawing.add("her2", (0, 95 + rng.normal(0, 2.5), 95 + rng.normal(0, 2.5)), 2500.0)
    found = look(drawing, drawing.photograph())
    label = drawing.labels[95, 95]
    mine = found.clusters[(found.clusters["label"] == label) & (found.clusters["probe"] == "HER2")]
    single = found.spots[(found.spots["label"] == label) & (found.spots["probe"] == "HER2")]
    alone = ((single["status"] == "counted") & (single["cluster"] == 0)).sum()
    assert len(mine) >= 1
    assert 9 <= mine["copies"].sum() + alone <= 20
    assert (mine["copies_low"] <= mine["copies"]).all()
    members = found.spots[(found.spots["probe"] == "HER2") & (found.spots["cluster"] > 0)]
    assert members["flags"].str.contains("IN_CLUSTER").all()
    assert set(members["cluster"]) == set(found.clusters[found.clusters["probe"] == "HER2"]["cluster"])


def test_no_nuclei_no_rows() -> None:
    drawing, _ = two_and_two(1)
    pixels = drawing.photograph()
    model = model_of(drawing, pixels)
    nobody = from_labels(np.zeros(SIZE, np.int32), (PIXEL_UM, PIXEL_UM))
    found = detect(pixels, nobody, drawing.voxel_um, model, Detect())
    assert len(found.spots) == len(found.clusters) == 0
    assert "status" in found.spots.columns


def test_a_missing_colour_is_legal() -> None:
    drawing, truth = two_and_two(1)
    pixels = {"her2": drawing.photograph()["her2"]}
    model = model_of(drawing, pixels)
    assert list(model.probes) == ["HER2"]
    spots = detect(pixels, drawing.nuclei, drawing.voxel_um, model, Detect()).spots
    assert set(spots["probe"]) == {"HER2"}
    assert (spots["status"] == "counted").sum() == pytest.approx((truth["probe"] == "HER2").sum(), abs=1)


@pytest.mark.parametrize("planes", [1, 9])
@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "float64"])
def test_detect_spots_alone_on_an_array(planes: int, dtype: str) -> None:
    drawing, truth = two_and_two(planes)
    volume = drawing.photograph()["her2"].astype(dtype)
    spots = detect_spots(volume if planes > 1 else volume[0], (STEP_UM, PIXEL_UM, PIXEL_UM))
    counted = spots[spots["status"] == "counted"]
    assert len(counted) == pytest.approx((truth["probe"] == "HER2").sum(), abs=2)
    assert (spots["label"] == 0).all()
    assert "probe" not in spots.columns


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "uint32"])
def test_any_memory_a_file_may_give(dtype: str) -> None:
    volume = two_and_two(9)[0].photograph()["her2"]
    numbers = np.minimum(volume // (4 if dtype == "uint8" else 1), 255 if dtype == "uint8" else 65535)
    given = numbers.astype(dtype)
    given.setflags(write=False)
    size = (STEP_UM, PIXEL_UM, PIXEL_UM)
    found, plain = detect_spots(given, size), detect_spots(numbers.astype(np.int64), size)
    pd.testing.assert_frame_equal(found, plain)
    assert (found["status"] == "counted").sum() == pytest.approx(40, abs=2)


def test_a_read_only_view_with_gaps_is_fine() -> None:
    volume = two_and_two(1)[0].photograph()["her2"][0]
    padded = np.zeros((SIZE[0], SIZE[1] * 2), np.uint16)
    padded[:, ::2] = volume
    view = padded[:, ::2]
    view.setflags(write=False)
    size = (STEP_UM, PIXEL_UM, PIXEL_UM)
    pd.testing.assert_frame_equal(detect_spots(view, size), detect_spots(volume, size))


def test_one_plane_is_a_stack_of_one() -> None:
    volume = two_and_two(1)[0].photograph()["her2"]
    size = (STEP_UM, PIXEL_UM, PIXEL_UM)
    pd.testing.assert_frame_equal(detect_spots(volume, size), detect_spots(volume[0], size))


@pytest.mark.parametrize("value", [0, 7])
def test_a_blank_image_has_no_signals(value: int) -> None:
    assert len(detect_spots(np.full((64, 64), value, np.uint16), (0.3, 0.1, 0.1))) == 0


def test_noise_has_next_to_no_signals() -> None:
    noise = np.random.default_rng(10).poisson(30, (7, 300, 300)).astype(np.uint16)
    spots = detect_spots(noise, (0.3, 0.1, 0.1))
    assert (spots["status"] == "counted").sum() <= 1


@pytest.mark.parametrize(
    ("shape", "voxel", "message"),
    [
        ((4,), (0.3, 0.1, 0.1), r"found an array of shape \(4,\); needed \(Y, X\) or \(Z, Y, X\)"),
        ((0, 5), (0.3, 0.1, 0.1), r"found an array of shape \(0, 5\)"),
        ((5, 5), (0.3, 0.0, 0.1), r"found voxel_um \(0.3, 0.0, 0.1\); needed positive"),
        ((3, 5, 5), (0.0, 0.1, 0.1), r"found voxel_um \(0.0, 0.1, 0.1\); needed positive"),
    ],
)
def test_what_is_no_image_is_refused(shape, voxel, message) -> None:
    with pytest.raises(InputError, match=message):
        detect_spots(np.zeros(shape), voxel)


def test_a_slide_with_too_few_signals_says_so() -> None:
    drawing = Drawing(1)
    model = model_of(drawing, drawing.photograph())
    assert SlideFlag.FEW_SIGNALS in model.flags
    assert model.probes["HER2"].n_isolated < Survey().min_isolated


def test_a_cluster_that_cannot_be_counted_has_no_upper_end() -> None:
    one, yes = np.array([7]), np.array([True, False])
    twice = np.repeat(one, 2)
    regions = Clusters(twice, twice - 2, twice + 9, twice * 1.0, twice, yes, yes)
    frame = _cluster_frame("HER2", regions, np.array([9, 9]))
    assert frame["copies_low"].tolist() == [5, 5]
    assert frame["copies_high"].iloc[0] == 16
    assert frame["copies_high"].isna().tolist() == [False, True]
    tables.CLUSTERS.check(frame.assign(slide_id="s", scene="f"))


def test_faint_members_do_not_raise_the_lower_end() -> None:
    spots = pd.DataFrame({"probe": "HER2", "cluster": [1, 1, 1, 2], "photons": [1000.0, 560.0, 540.0, 1000.0]})
    model = make.model()  # 1000 photons, log-normal sigma 0.3: two sigma below lies at 549
    assert _bright_members(spots, "HER2", model, 3).tolist() == [2, 1, 0]
    assert _bright_members(spots, "CEP17", model, 2).tolist() == [0, 0]
    one, yes = np.array([12]), np.array([True])
    frame = _cluster_frame("HER2", Clusters(one, one - 4, one, one * 1.0, one, yes, yes), np.array([5]))
    assert (frame["copies_low"][0], frame["copies"][0], frame["copies_high"][0]) == (5, 12, 12)
