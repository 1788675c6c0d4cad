"""A scene in parts is the scene: each nucleus, signal and cluster once, counted as in the whole."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import pipeline
from ctcfish.config import Config
from ctcfish.io import open_slide
from ctcfish.stages import parts as module
from ctcfish.stages.count import count
from ctcfish.stages.detect import detect
from ctcfish.stages.immuno.markers import Projection, measure
from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.stages.nuclei.pixels import Channel
from ctcfish.stages.parts import Part, join, parts, shares, speakers
from ctcfish.stages.segment import segment
from ctcfish.stages.survey import SceneInfo, merge, survey
from ctcfish.store.atomic import to_json
from ctcfish.types import Nuclei, Scene, SlideResult
from tests import make
from tests.conftest import REPOSITORY

PIXEL_UM = 1.0
SAMPLE = REPOSITORY / "data_samples" / "sample"


def grid(rows: int, columns: int, step: int = 60, side: int = 20) -> Nuclei:
    """Square nuclei of 20 um."""
    labels = np.zeros((rows * step, columns * step), np.int32)
    for k in range(rows * columns):
        y, x = (k // columns) * step + step // 3, (k % columns) * step + step // 3
        labels[y : y + side, x : x + side] = k + 1
    return from_labels(labels, (PIXEL_UM, PIXEL_UM))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts own at most 100 x 100 pixels."""
    monkeypatch.setattr(module, "MOST_VOXELS", 10_000)


def test_a_scene_of_ordinary_size_is_one_part() -> None:
    nuclei = grid(2, 2)
    (only,) = parts(nuclei, 9)
    assert only.nuclei is nuclei
    assert only.own.all()
    assert (only.rows, only.columns) == (slice(0, 120), slice(0, 120))
    found = make.detections([make.spot(1.0, 1.0)])
    assert join([only], [found], nuclei) is found


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("planes", [1, 4])
def test_every_nucleus_has_one_owner_and_lies_whole_in_its_window(planes: int) -> None:
    nuclei = grid(5, 4)
    cut = parts(nuclei, planes)
    assert len(cut) > 4
    owned = np.concatenate([part.nuclei.label[part.own] for part in cut])
    assert sorted(owned.tolist()) == nuclei.label.tolist()
    for part in cut:
        own = part.nuclei.rows(part.own)
        corner = np.array([part.rows.start, part.columns.start] * 2)
        np.testing.assert_array_equal(own.box_px + corner, nuclei.rows(own.label - 1).box_px)
        assert own.packed == nuclei.rows(own.label - 1).packed
        clear = np.minimum(own.box_px[:, :2].min(), (np.array(part.nuclei.shape_px * 2)[2:] - own.box_px[:, 2:]).min())
        at_border = part.rows.start == 0 or part.columns.start == 0 or part.rows.stop == 300 or part.columns.stop == 240
        assert clear >= module.MARGIN_UM or at_border


@pytest.mark.usefixtures("small")
def test_a_part_shows_the_scene_in_its_window() -> None:
    """Neighbours that it does not own among them, cut where the window ends."""
    nuclei = grid(8, 9, step=31)
    scene = nuclei.paint()
    cut = parts(nuclei, 1)
    for part in cut:
        np.testing.assert_array_equal(part.nuclei.paint(), scene[part.rows, part.columns])
        um = part.nuclei.centroid_um + np.array([part.rows.start, part.columns.start])
        np.testing.assert_allclose(um, nuclei.rows(part.nuclei.label - 1).centroid_um)
    assert any((~part.own).any() for part in cut)


@pytest.mark.usefixtures("small")
def test_a_scene_without_nuclei_is_its_middle() -> None:
    (only,) = parts(from_labels(np.zeros((300, 300), np.int32), (PIXEL_UM, PIXEL_UM)), 1)
    assert len(only.nuclei) == 0
    assert only.rows.start < 150 < only.rows.stop
    assert only.nuclei.shape_px == (132, 132)
    none = join([only], [make.detections([])], only.nuclei)
    assert (len(none.spots), len(none.clusters)) == (0, 0)


@pytest.mark.parametrize("items", [0, 1, 3, 100])
@pytest.mark.parametrize("voxels", [0, 9_999, 10_000, 10_001, 25_000, 10**9])
@pytest.mark.usefixtures("small")
def test_shares_hold_every_item_once_in_its_order(items: int, voxels: int) -> None:
    cut = shares(range(items), voxels)
    assert [item for share in cut for item in share] == list(range(items))
    assert max(map(len, cut)) - min(map(len, cut)) <= 1
    if voxels <= 10_000:
        assert len(cut) == 1
    else:
        assert len(cut) == max(1, min(items, int(np.ceil(module.TASKS_PER_PART * voxels / 10_000))))


def of_size(*own: int) -> list[Part]:
    return [Part(slice(k, k + 1), slice(0, 1), grid(1, max(n, 1)), np.arange(max(n, 1)) < n) for k, n in enumerate(own)]


@pytest.mark.parametrize(
    ("own", "first_rows"),
    [
        ((5,), [0]),
        ((0,), [0]),
        ((8, 2, 1), [0, 1]),
        ((4, 4, 4, 4, 4), [0, 1, 2, 3]),
        ((1, 9, 1, 3, 9, 8), [1, 3, 4, 5]),
    ],
)
def test_the_fullest_parts_speak_for_their_scene(own: tuple[int, ...], first_rows: list[int]) -> None:
    assert [part.rows.start for part in speakers(of_size(*own))] == first_rows


def halves() -> tuple[Nuclei, list[Part]]:
    """Two nuclei side by side, a part each; both see both."""
    nuclei = grid(1, 2)
    left, right = (np.array([True, False]), np.array([False, True]))
    moved = module._cut(nuclei, (10, 5, 60, 120))
    return nuclei, [
        Part(slice(0, 60), slice(0, 120), nuclei, left),
        Part(slice(10, 60), slice(5, 120), moved, right),
    ]


def test_signals_of_both_parts_are_kept_once_where_they_lie() -> None:
    nuclei, cut = halves()
    seen = [(30.0, 30.0, 1), (30.0, 90.0, 2), (30.0, 44.0, 0), (30.0, 75.0, 0)]
    spots = [make.spot(y, x, label=label, photons=x) for y, x, label in seen]
    shifted = [make.spot(y - 10, x - 5, label=label, photons=x) for y, x, label in seen]
    joined = join(cut, [make.detections(spots), make.detections(shifted)], nuclei).spots
    assert joined["photons"].tolist() == [30.0, 44.0, 90.0, 75.0]
    assert joined["x_um"].tolist() == [30.0, 44.0, 90.0, 75.0]
    assert joined["y_um"].tolist() == [30.0] * 4
    assert joined["spot_id"].tolist() == [1, 2, 3, 4]
    assert joined["label"].tolist() == [1, 0, 2, 0]


def test_clusters_keep_their_signals_and_are_numbered_by_probe() -> None:
    nuclei, cut = halves()

    def found(dy: float, dx: float) -> Any:
        spots = [
            make.spot(30 - dy, 90 - dx, label=2, cluster=1),
            make.spot(30 - dy, 30 - dx, label=1, cluster=2),
            make.spot(31 - dy, 30 - dx, label=1, cluster=2),
            make.spot(30 - dy, 30 - dx, label=1, cluster=1, probe="CEP17"),
            make.spot(30 - dy, 91 - dx, label=2, cluster=2, probe="CEP17"),
            make.spot(30 - dy, 40 - dx, label=1),
        ]
        groups: list[dict[str, Any]] = [
            {"cluster": 1, "label": 2, "copies": 7},
            {"cluster": 2, "label": 1, "copies": 5},
            {"cluster": 1, "label": 1, "copies": 3, "probe": "CEP17"},
            {"cluster": 2, "label": 2, "copies": 4, "probe": "CEP17"},
        ]
        return make.detections(spots, groups)

    joined = join(cut, [found(0, 0), found(10, 5)], nuclei)
    assert len(joined.spots) == 6
    groups = joined.clusters[["probe", "cluster", "label", "copies"]].to_records(index=False).tolist()
    assert groups == [("HER2", 1, 1, 5), ("CEP17", 1, 1, 3), ("HER2", 2, 2, 7), ("CEP17", 2, 2, 4)]
    members = joined.spots[joined.spots["cluster"] > 0].merge(groups_of(joined), on=["probe", "cluster"])
    assert (members["label_x"] == members["label_y"]).all()
    assert len(members) == 5
    assert joined.spots.dtypes.to_dict() == found(0, 0).spots.dtypes.to_dict()


def groups_of(found: Any) -> pd.DataFrame:
    return found.clusters[["probe", "cluster", "label"]]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return open_slide(SAMPLE / "fish" / "field001.ome.tif").fish_scenes[0]


@pytest.fixture(scope="module")
def nuclei(scene: Scene) -> Nuclei:
    return segment(Channel(scene, "nucleus"), scene.voxel_um, Config().segment, "cpu")


@pytest.mark.parametrize("side", [150, 260])
def test_a_scene_in_parts_is_counted_as_in_one(
    scene: Scene, nuclei: Nuclei, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample's field, cut through the middle of its nuclei, by the light of the whole of it."""
    config, planes = Config(), scene.pixels.shape[1]
    pixels = {role: scene.read(role) for role in ("her2", "cep17")}
    seen = survey(pixels, nuclei, SceneInfo(scene.voxel_um, scene.optics), config.survey, config.detect)
    model = merge([seen], config.survey, config.detect)
    whole = detect(pixels, nuclei, scene.voxel_um, model, config.detect)
    monkeypatch.setattr(module, "MOST_VOXELS", side * side * planes)
    cut = parts(nuclei, planes)
    assert len(cut) > 3
    found = []
    for part in cut:
        own = {role: scene.read(role, part.rows, part.columns) for role in pixels}
        found.append(detect(own, part.nuclei, scene.voxel_um, model, config.detect))
    joined = join(cut, found, nuclei)
    one, many = (count(nuclei, own, model, config.count, ("s", "f")) for own in (whole, joined))
    assert many[0]["cell_id"].tolist() == one[0]["cell_id"].tolist()
    columns = ["her2_count", "her2_low", "her2_high", "cep17_count", "flags"]
    pd.testing.assert_frame_equal(many[0][columns], one[0][columns])
    inside = [own[1][own[1]["label"] > 0].sort_values(["probe", "y_um", "x_um"]) for own in (one, many)]
    assert len(inside[0]) == len(inside[1])
    np.testing.assert_allclose(inside[0][["y_um", "x_um"]], inside[1][["y_um", "x_um"]], atol=1e-3)


class Elsewhere:
    """A ``map`` that sends work, items and results away and back, the last item first."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []

    def __call__(self, work: Any, items: Iterable[Any], /) -> list[Any]:
        sent = [pickle.dumps((work, item)) for item in items]
        self.steps.append((work.func.__name__, len(sent)))
        done = [pickle.dumps(own(item)) for own, item in map(pickle.loads, reversed(sent))]
        assert max(map(len, sent)) < 100_000  # references and outlines, never pixels
        return [pickle.loads(found) for found in reversed(done)]


def digest(result: SlideResult) -> list[bytes]:
    outlines = [b"".join(own.packed) + own.box_px.tobytes() + own.focus.tobytes() for own in result.nuclei.values()]
    frames = [frame.to_csv().encode() for frame in (result.cells, result.spots, result.if_cells)]
    return [*outlines, *frames, to_json(result.summary).encode()]


def test_parts_done_elsewhere_in_another_order_are_the_same_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles, windows and parts of both scans, cut small."""
    monkeypatch.setattr(module, "MOST_VOXELS", 150 * 150 * 7)
    monkeypatch.setattr("ctcfish.stages.segment._CORE_PX", 96)
    monkeypatch.setattr("ctcfish.stages.segment._MARGIN_PX", 32)
    monkeypatch.setattr("ctcfish.stages.immuno.markers._BLOCKS_PER_WINDOW", (2, 2))
    slide, elsewhere = open_slide(SAMPLE), Elsewhere()
    found = pipeline.score(slide, Config(), each=elsewhere)
    names = [name for name, _ in elsewhere.steps]
    assert names == ["_look", "_measure_share", "_look", "_survey_part", "_detect_part"]
    assert min(n for _, n in elsewhere.steps[2:]) > 1
    monkeypatch.setattr(module, "TASKS_PER_PART", 3)
    assert digest(found) == digest(pipeline.score(slide, Config()))


def test_an_if_scan_in_shares_is_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, config = open_slide(SAMPLE).if_scenes[0], Config()
    monkeypatch.setattr("ctcfish.stages.segment._CORE_PX", 96)
    monkeypatch.setattr("ctcfish.stages.segment._MARGIN_PX", 32)
    monkeypatch.setattr("ctcfish.stages.immuno.markers._BLOCKS_PER_WINDOW", (2, 2))
    pixels = {role: Projection(scene, role) for role in scene.roles}

    def seen(each: Any = map) -> pd.DataFrame:
        nuclei = segment(Channel(scene, "nucleus"), scene.voxel_um, config.segment, "cpu", each)
        return measure(pixels, nuclei, config.phenotype, each)

    whole = seen()
    monkeypatch.setattr(module, "MOST_VOXELS", 100 * 100)
    elsewhere = Elsewhere()
    pd.testing.assert_frame_equal(seen(elsewhere), whole, check_exact=True)
    assert min(n for _, n in elsewhere.steps) > 3


def test_a_slide_in_parts_goes_the_whole_route(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VOXELS", 260 * 260 * scene.pixels.shape[1])
    slide = make.slide(fish_scenes=(scene,), if_scenes=())
    result = pipeline.score(slide, Config())
    assert len(result.cells) == len(result.nuclei[f"fish/{scene.name}"])
    assert result.cells["call"].isin(["amplified", "not_amplified"]).sum() > 15
    place, crowded = ["scene", "probe", "y_um", "x_um", "z_um"], result.spots["cluster"] > 0
    assert not result.spots[~crowded].duplicated(place).any()
    # two emitters of one cluster may end at one place, both at the least brightness; those of two clusters may not
    assert not result.spots.drop_duplicates([*place, "cluster"]).duplicated(place).any()
    twins = result.spots[crowded & result.spots.duplicated([*place, "photons"], keep=False)]
    faintest = result.spots[crowded].groupby("probe")["photons"].min()
    np.testing.assert_allclose(twins["photons"], twins["probe"].map(faintest), rtol=1e-3)
    assert len(twins) <= 2
