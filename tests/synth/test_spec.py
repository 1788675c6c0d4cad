"""Specifications: what is read, and what is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ctcfish.errors import ConfigError
from ctcfish.synth.spec import AMPLIFIED, COPY_CLASSES, FishScan, SlideSpec, read_spec

SAMPLES = Path(__file__).resolve().parents[2] / "data_samples"


def write(folder: Path, text: str) -> Path:
    path = folder / "slide.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_an_ordinary_slide() -> None:
    spec = SlideSpec()
    assert (spec.signals.photons, spec.signals.background_photons, spec.signals.photons_log_sd) == (900.0, 40.0, 0.3)
    assert (spec.signals.her2_in_cep17, spec.signals.cep17_in_her2) == (0.04, 0.04)
    assert spec.nuisance.granules_per_nucleus == pytest.approx(1 / 5)
    assert spec.immuno.pixel_um == 0.64
    assert (spec.fish.pixel_um, spec.fish.z_step_um, spec.fish.planes) == (0.1, 0.4, 15)


def test_rare_nuisance_is_off_by_default() -> None:
    n = SlideSpec().nuisance
    assert (n.out_of_focus, n.apoptotic, n.debris, n.lost_share, n.extra_share) == (0, 0, 0, 0.0, 0.0)
    assert (n.unhybridised_share, n.missed, n.if_residue_photons) == (0.0, 0.0, 0.0)


def test_amplified_classes_are_classes() -> None:
    assert set(AMPLIFIED) < set(COPY_CLASSES)
    assert len(set(COPY_CLASSES) - set(AMPLIFIED)) == 8


def test_reads_toml(tmp_path: Path) -> None:
    spec = read_spec(
        write(tmp_path, 'slide_id = "a"\nseed = 9\n[fish]\nplanes = 3\n[if]\nna = 0.3\n[population.ctc_mix]\ng2 = 1\n')
    )
    assert (spec.slide_id, spec.seed, spec.fish.planes, spec.immuno.na) == ("a", 9, 3, 0.3)
    assert spec.population.ctc_mix == {"g2": 1.0}
    assert spec.signals == SlideSpec().signals


@pytest.mark.parametrize("name", ["demo", "sample"])
def test_shipped_specifications(name: str) -> None:
    spec = read_spec(SAMPLES / f"{name}.toml")
    assert spec.slide_id == name
    assert any(spec.population.ctc_mix.get(c, 0) for c in AMPLIFIED)


def test_demonstration_is_what_it_promises() -> None:
    population = read_spec(SAMPLES / "demo.toml").population
    assert 6 <= population.ctc <= 10
    assert 90 <= population.leukocytes <= 110


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = ", "is no valid TOML"),
        ("colour = 1", r"slide.toml: colour: Extra inputs are not permitted \(found 1\)"),
        ("[fish]\npixel_um = -0.1", r"fish.pixel_um: Input should be greater than 0 \(found -0.1\)"),
        ("[fish]\nna = 1.4\nimmersion_index = 1.33", "na 1.4 must be below immersion_index 1.33"),
        ("[population.ctc_mix]\ntriploid = 1", "population.ctc_mix.triploid"),
        ('slide_id = "a/b"', "slide_id: String should match pattern"),
        ("[fish.camera]\nbits = 32", r"fish.camera.bits: Input should be less than or equal to 16 \(found 32\)"),
        ("[stage]\nscale = 0.0", "stage.scale"),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        read_spec(write(tmp_path, text))
    assert error.value.exit_code == 2


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"specification none.toml: cannot be read \(No such file or directory\)"):
        read_spec(tmp_path / "none.toml")


def test_values_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FishScan().na = 1.0  # type: ignore[misc]
