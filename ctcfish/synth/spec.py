"""What a simulated slide is: every size, brightness and nuisance, frozen, with its unit in its name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, TypeVar, get_args

from pydantic import ConfigDict, Field, ValidationError, model_validator

from ctcfish.errors import ConfigError
from ctcfish.parameters import Parameters

CopyClass = Literal[
    "diploid",
    "g2",
    "gain_3_2",
    "gain_4_2",
    "polysomy",
    "monosomy",
    "cep17_loss",
    "coamplified",
    "amplified_low",
    "amplified_dispersed",
    "amplified_cluster",
    "amplified_hsr",
]
COPY_CLASSES: tuple[CopyClass, ...] = get_args(CopyClass)
AMPLIFIED: tuple[CopyClass, ...] = ("amplified_low", "amplified_dispersed", "amplified_cluster", "amplified_hsr")


class Population(Parameters):
    """Who lies on the slide.

    The mixes give shares, not chances: a slide of 8 CTC with a quarter amplified has two amplified ones.
    """

    ctc: int = Field(default=6, ge=0)
    leukocytes: int = Field(default=44, ge=0)
    ctc_mix: dict[CopyClass, float] = Field(
        default={
            "diploid": 0.35,
            "g2": 0.1,
            "gain_3_2": 0.1,
            "polysomy": 0.1,
            "amplified_low": 0.1,
            "amplified_dispersed": 0.1,
            "amplified_cluster": 0.15,
        }
    )
    leukocyte_mix: dict[CopyClass, float] = Field(default={"diploid": 0.94, "g2": 0.06})
    ctc_diameter_um: float = Field(default=8.6, gt=0, description="median across; log-normal, 7 to 15 um")
    leukocyte_diameter_um: float = Field(default=7.0, gt=0, description="median across; 6 to 8 um")
    thickness_share: float = Field(default=0.5, gt=0, le=1, description="thickness over diameter, after cytospin")
    touching_pairs: int = Field(default=4, ge=0, description="pairs of nuclei whose outlines meet")
    overlap_pairs: int = Field(default=0, ge=0, description="pairs of nuclei lying one on the other")
    gap_um: float = Field(default=0.8, ge=0, description="least distance between nuclei not made to touch")
    ctc_border_um: float = Field(
        default=0.0, ge=0, description="CTC keep this far from the border: fields are taken around them"
    )
    z_sd_um: float = Field(default=0.25, ge=0, description="spread of nuclear centres about the stack's middle")


class Signals(Parameters):
    """FISH signals and the light around them."""

    photons: float = Field(default=900.0, gt=0, description="median light of a signal in its best plane")
    photons_log_sd: float = Field(default=0.3, ge=0)
    cep17_brightness: float = Field(default=1.0, gt=0, description="CEP17 photons over HER2 photons")
    her2_size_um: tuple[float, float] = (0.3, 0.6)
    cep17_size_um: tuple[float, float] = (0.5, 1.0)
    sister_um: tuple[float, float] = Field(default=(0.2, 0.7), description="distance of sisters in S and G2")
    background_photons: float = Field(
        default=40.0, gt=0, description="inside nuclei, per pixel of 0.1 um and plane; scales with the pixel's area"
    )
    free_background_share: float = Field(default=0.6, ge=0, le=1, description="background outside nuclei over inside")
    background_relative_sd: float = Field(default=0.1, ge=0, description="slow unevenness of the background")
    nucleus_photons: float = Field(default=700.0, gt=0, description="DAPI in the best plane, per pixel of 0.1 um")
    her2_in_cep17: float = Field(default=0.04, ge=0, lt=1, description="share of HER2 light in the CEP17 channel")
    cep17_in_her2: float = Field(default=0.04, ge=0, lt=1, description="share of CEP17 light in the HER2 channel")


class Camera(Parameters):
    """ADU = offset + gain * (photons + read noise)."""

    gain_adu_per_photon: float = Field(default=2.0, gt=0)
    offset_adu: float = Field(default=100.0, ge=0)
    read_noise_photons: float = Field(default=2.0, ge=0)
    bits: int = Field(default=16, ge=8, le=16)


class FishScan(Parameters):
    """Geometry and optics of the FISH scan."""

    pixel_um: float = Field(default=0.1, gt=0)
    z_step_um: float = Field(default=0.4, gt=0)
    planes: int = Field(default=15, ge=1)
    shape_px: tuple[int, int] = (1024, 1024)
    fields: tuple[int, int] = Field(default=(1, 1), description="rows and columns of fields")
    spacing_um: float = Field(default=0.0, description="gap between fields; negative: they overlap")
    scan: int = Field(default=0, ge=0, description="number of a re-scan: the same slide with noise of its own")
    shift_um: tuple[float, float] = Field(default=(0.0, 0.0), description="(y, x) of the first field on the slide")
    defocus_um: float = Field(default=0.0, description="height of the nuclei over the middle of the stack")
    na: float = Field(default=1.3, gt=0, lt=1.7)
    immersion_index: float = Field(default=1.518, ge=1.0)
    emission_nm: tuple[float, float, float] = Field(default=(461.0, 588.0, 524.0), description="DAPI, HER2, CEP17")
    chromatic_shift_um: tuple[float, float, float] = Field(
        default=(0.15, 0.06, -0.04), description="(z, y, x) to add to places in CEP17's channel to lie on HER2's"
    )
    shading: float = Field(default=0.15, ge=0, lt=1, description="light lost in the corners")
    camera: Camera = Camera()

    @model_validator(mode="after")
    def _aperture_fits(self) -> FishScan:
        if self.na >= self.immersion_index:
            raise ValueError(f"na {self.na} must be below immersion_index {self.immersion_index}")
        return self


class IfScan(Parameters):
    """Geometry and light of the immunofluorescence scan."""

    pixel_um: float = Field(default=0.64, gt=0)
    na: float = Field(default=0.45, gt=0, lt=1.0)
    margin_um: float = Field(default=20.0, ge=0, description="glass scanned around the FISH fields")
    nucleus_photons: float = Field(default=900.0, gt=0)
    ck_photons: float = Field(default=700.0, gt=0, description="median cytokeratin of a CTC")
    cd45_photons: float = Field(default=350.0, gt=0, description="median CD45 of a leukocyte")
    her2_photons: float = Field(default=120.0, gt=0, description="HER2 protein of a CTC without amplification")
    medium_her2_share: float = Field(default=0.2, ge=0, le=1, description="CTC without amplification, yet medium")
    medium_her2_ratio: float = Field(default=2.5, ge=1, description="HER2 protein of a medium CTC over a negative's")
    amplified_her2_ratio: float = Field(default=6.0, ge=1, description="HER2 protein of an amplified CTC likewise")
    marker_log_sd: float = Field(default=0.35, ge=0, description="spread of a marker between cells")
    background_photons: float = Field(default=60.0, gt=0)
    emission_nm: tuple[float, float, float, float] = Field(
        default=(461.0, 578.0, 660.0, 519.0), description="DAPI, CK, CD45, HER2 protein"
    )
    shading: float = Field(default=0.1, ge=0, lt=1)
    camera: Camera = Camera()


class Stage(Parameters):
    """How the slide lay in the IF scan, seen from the FISH scan."""

    shift_um: tuple[float, float] = Field(default=(4.0, -6.0), description="(y, x)")
    rotation_deg: float = 1.2
    mirrored: bool = False
    scale: float = Field(default=1.0, gt=0.5, lt=2.0, description="IF micrometres per FISH micrometre")
    jitter_um: float = Field(default=0.25, ge=0, description="movement of each cell between the scans")
    warp_um: float = Field(default=0.0, ge=0, description="smooth deformation of the slide between the scans")
    warp_length_um: float = Field(default=200.0, gt=0, description="wavelength of that deformation")
    swelling: float = Field(default=1.05, gt=0, description="nuclear diameter in FISH over IF")


class Nuisance(Parameters):
    """What spoils real slides; the defaults are an ordinary slide."""

    granules_per_nucleus: float = Field(default=0.2, ge=0, description="autofluorescent, bright in both colours")
    hot_pixels_per_megapixel: float = Field(default=20.0, ge=0)
    out_of_focus: int = Field(default=0, ge=0, description="cells lying above or below the stack")
    apoptotic: int = Field(default=0, ge=0, description="condensed, fragmented nuclei")
    debris: int = Field(default=0, ge=0, description="stained scraps that are no nuclei, in both scans")
    lost_share: float = Field(default=0.0, ge=0, le=1, description="cells gone before FISH")
    extra_share: float = Field(default=0.0, ge=0, le=1, description="cells seen in FISH only, over all cells")
    unhybridised_share: float = Field(default=0.0, ge=0, le=1, description="cells without any signal")
    missed: float = Field(default=0.0, ge=0, lt=1, description="share of loci the probe did not reach")
    unspecific_per_nucleus: float = Field(default=0.0, ge=0, description="probe stuck where no locus is, per colour")
    ctc_error_ratio: float = Field(
        default=1.0, ge=0, description="missed and unspecific signals of CTC over those of leukocytes"
    )
    if_residue_photons: float = Field(
        default=0.0, ge=0, description="cytokeratin left in the HER2 channel, HER2 protein in CEP17's, per 0.1 um pixel"
    )


class SlideSpec(Parameters):
    """One simulated slide.

    Examples
    --------
    >>> SlideSpec(seed=3).signals.photons
    900.0
    """

    slide_id: str = Field(default="simulated", pattern=r"^[A-Za-z0-9][\w.-]*$")
    patient_id: str = ""
    seed: int = Field(default=1, ge=0)
    with_if: bool = True
    population: Population = Population()
    signals: Signals = Signals()
    fish: FishScan = FishScan()
    immuno: IfScan = Field(default=IfScan(), alias="if")
    stage: Stage = Stage()
    nuisance: Nuisance = Nuisance()
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def read_spec(path: Path) -> SlideSpec:
    """Read a slide's specification from TOML.

    Raises
    ------
    ConfigError
        The file cannot be read, is no TOML, or a key or value is wrong.
    """
    return parse_spec(path, SlideSpec)


Spec = TypeVar("Spec", bound=Parameters)


def parse_spec(path: Path, kind: type[Spec]) -> Spec:
    """Read a specification of the given kind from TOML; what is wrong becomes a :class:`ConfigError`."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"specification {path.name}: cannot be read ({error.strerror}); give a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"specification {path.name}: is no valid TOML ({error}); correct the line named.") from None
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']} (found {item['input']!r})"
            for item in error.errors()
        )
        raise ConfigError(f"specification {path.name}: {wrong}. The keys are those of {kind.__name__}.") from None
