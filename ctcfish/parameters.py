"""Every parameter of every stage: frozen, bounded, with its unit in its name.

A choice of method is a tagged union of parameter classes; a stranger's own method is :class:`Custom`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, StringConstraints


class Parameters(BaseModel):
    """Base: frozen values; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Custom(Parameters):
    """A method of the user's own.

    ``function`` names it as ``package.module:function``; it has the signature of the method it replaces.
    """

    method: Literal["custom"] = "custom"
    function: str = Field(pattern=r"^[\w.]+:\w+$")


class ChannelPanel(Parameters):
    """Names under which a channel's role is known, compared without case, and the dye's emission."""

    aliases: dict[str, tuple[str, ...]]
    emission_nm: dict[str, float]
    na: float | None = Field(
        default=None, gt=0, le=1.7, description="used where the file names none; None: measured on the slide"
    )


class Panel(Parameters):
    """Stains of the two scans."""

    fish: ChannelPanel = ChannelPanel(
        aliases={
            "nucleus": ("nucleus", "DAPI", "Hoechst", "Hoechst 33342"),
            "her2": ("HER2", "ERBB2", "SpectrumOrange", "Orange", "HER2/neu"),
            "cep17": ("CEP17", "CEN17", "D17Z1", "SpectrumGreen", "Green"),
        },
        emission_nm={"nucleus": 461.0, "her2": 588.0, "cep17": 524.0},
    )
    if_: ChannelPanel = Field(
        alias="if",
        default=ChannelPanel(
            aliases={
                "nucleus": ("nucleus", "DAPI", "Hoechst", "Hoechst 33342"),
                "inclusion": ("inclusion", "CK", "PanCK", "cytokeratin", "PE", "CK-PE"),
                "exclusion": ("exclusion", "CD45", "APC", "CD45-APC"),
                "her2_protein": ("her2_protein", "HER2", "ERBB2", "FITC", "HER2-FITC"),
            },
            emission_nm={"nucleus": 461.0, "inclusion": 578.0, "exclusion": 660.0, "her2_protein": 519.0},
        ),
    )
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Correct(Parameters):
    """Uneven illumination of the IF scan."""

    min_leukocytes: int = Field(
        default=100, ge=20, description="fewer in all fields of one size: their illumination is taken for even"
    )
    even_within: float = Field(
        default=0.1, gt=0, lt=1, description="share within which illumination is believed even before the slide is seen"
    )


class ClassicalNuclei(Parameters):
    """Local threshold on the logarithm, distance transform, watershed."""

    method: Literal["classical"] = "classical"
    smooth_um: float = Field(default=0.3, gt=0)
    window_um: float = Field(default=20.0, gt=0, description="neighbourhood of the local threshold")
    split_um: float = Field(default=0.3, gt=0, description="depth of a neck that separates two nuclei")


class NetworkNuclei(Parameters):
    """The network shipped in ``models/``."""

    method: Literal["network"] = "network"
    model: str = "nuclei"


class Segment(Parameters):
    """Nuclei."""

    nuclei: Annotated[NetworkNuclei | ClassicalNuclei | Custom, Field(discriminator="method")] = NetworkNuclei()
    min_area_um2: float = Field(default=12.0, ge=0, description="smaller objects are debris and no nuclei")
    small_area_um2: float = Field(default=20.0, ge=0, description="below: TOO_SMALL")
    large_area_um2: float = Field(default=260.0, gt=0, description="above: TOO_LARGE")


class Survey(Parameters):
    """What is measured on the slide before detection."""

    max_nuclei_per_scene: int = Field(default=60, ge=1, description="nuclei looked at, spread over the scene")
    start_na: float = Field(
        default=1.0, gt=0, le=1.7, description="numerical aperture to start from where neither file nor panel names one"
    )
    locus_um: dict[str, float] = Field(
        default={"her2": 0.45, "cep17": 0.75}, description="size of a locus, which widens the image of a point"
    )
    min_isolated: int = Field(
        default=15, ge=3, description="fewer isolated signals: start values are used, FEW_SIGNALS"
    )


class Detect(Parameters):
    """Detection of signals."""

    false_per_nucleus: float = Field(
        default=0.005, gt=0, lt=1, description="false signals accepted per nucleus and colour; sets the threshold"
    )
    gain_adu_per_photon: float | None = Field(default=None, gt=0, description="None: metadata, else photon transfer")
    offset_adu: float | None = Field(default=None, ge=0)
    read_noise_photons: float = Field(default=2.0, ge=0, description="assumed where the metadata name none")
    surround: float = Field(default=1.7, gt=1, description="width of the surround over that of the signal")
    margin_um: float = Field(default=1.5, ge=0, description="how far outside a nucleus signals are looked for")
    broad_ratio: float = Field(
        default=1.3, gt=1, description="response 1.8 times as wide over the signal's: above, a smooth object is BROAD"
    )
    dense_photons: float = Field(default=3.0, gt=1, description="times the median brightness: may be several signals")
    paired_photons: float = Field(
        default=0.9, gt=0, description="times the median brightness: fainter, an ill fitted signal is still one"
    )
    widest: float = Field(default=1.6, gt=1, description="widest single signal over the slide's isolated ones")
    broadest: float = Field(
        default=2.2, gt=1, description="a smooth object wider than this multiple of a signal is none: BROAD"
    )
    misfit: float = Field(
        default=1.28, gt=1, description="chi-squared per degree of freedom above which one signal may be several"
    )
    least_probability: float = Field(
        default=0.65, ge=0, le=1, description="a lone signal less likely real than this is DIM and ambiguous"
    )
    granule_odds: float = Field(
        default=0.12, ge=0, description="autofluorescent granules in nuclei to one pair of a HER2 and a CEP17 signal"
    )
    lone_granule_odds: float = Field(
        default=0.1, ge=0, description="granules found in one colour only to one signal with no other colour near it"
    )


class Count(Parameters):
    """Counting rules."""

    diameter_per_fwhm: float = Field(
        default=1.6, gt=0, description="one signal diameter as a multiple of the measured FWHM"
    )
    like_size_ratio: float = Field(
        default=3.0, ge=1, description="brightness ratio up to which two signals are of like size"
    )


class Phenotype(Parameters):
    """IF markers and kinds."""

    gates: str = Field(default="gates_cellsearch", description="name of a gate file in configs/")
    ring_um: float = Field(default=2.0, gt=0, description="width of the ring around the nucleus taken for cytoplasm")
    background_um: float = Field(default=20.0, gt=0, description="neighbourhood of the local background")
    min_probability: float = Field(default=0.9, gt=0.5, lt=1, description="below: unknown, UNSURE_KIND")
    min_leukocytes: int = Field(default=20, ge=3, description="fewer: the slide has no leukocyte model of its own")
    chosen: Literal["beside", "instead"] = Field(
        default="beside", description="cells of ctc.csv are CTC beside the automatic ones, or instead of them"
    )
    her2_medium_sd: float = Field(
        default=40.0, gt=0, description="HER2 protein from which a cell is medium; leukocyte SDs, from simulation"
    )
    her2_high_sd: float = Field(
        default=95.0, gt=0, description="HER2 protein from which a cell is high; leukocyte SDs, from simulation"
    )


class Gate(Parameters):
    """One rule on one measured value; what lies outside is not a CTC."""

    feature: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="a measured column")
    unit: Literal["um2", "fraction", "leukocyte_sd", "adu_12bit"]
    min: float | None = None
    max: float | None = None


class GateSet(Parameters):
    """A versioned set of gates; a cell must pass every one to be a CTC."""

    name: str
    version: str
    source: str
    gates: tuple[Gate, ...]


class Relocate(Parameters):
    """From IF to FISH."""

    max_residual_um: float = Field(default=6.0, gt=0, description="beyond: not the same cell")
    min_common_nuclei: int = Field(default=12, ge=3, description="fewer pairs: the transform is not trusted")
    min_probability: float = Field(default=0.5, gt=0, lt=1, description="below: the cell is lost")


class Calibrate(Parameters):
    """Error rates: what is believed before the slide's leukocytes are counted, and how firmly."""

    missed: float = Field(default=0.05, gt=0, lt=1, description="probability that a true signal is missed")
    split: float = Field(default=0.05, gt=0, lt=1, description="probability that a seen signal is counted as two")
    extra: float = Field(default=0.03, gt=0, description="extra signals per nucleus and colour")
    worth_signals: float = Field(default=20.0, gt=0, description="signals of evidence the two probabilities stand for")
    worth_nuclei: float = Field(default=30.0, gt=0, description="nuclei of evidence the extra signals stand for")
    false_cluster: float = Field(
        default=0.01, gt=0, lt=1, description="share of nuclei that show a cluster of a colour where there is none"
    )
    false_cluster_copies: float = Field(default=7.0, gt=3, description="mean copies such a cluster is taken for")
    history: dict[Annotated[str, StringConstraints(pattern=r"^\d+/\d+$")], NonNegativeInt] = Field(
        default={}, description='leukocytes of earlier slides: nuclei by "HER2/CEP17" signals, such as {"2/2" = 950}'
    )
    history_worth: float = Field(
        default=100.0, gt=0, description="nuclei of this slide that the whole history weighs as much as, at most"
    )
    min_leukocytes: int = Field(default=20, ge=0, description="fewer: UNCONTROLLED")
    min_hybridised: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of leukocytes showing both colours below which the hybridisation failed",
    )


class Guard(Parameters):
    """What the guarded rule asks beyond the hard rule."""

    min_cep17: int = Field(default=2, ge=0)
    or_min_her2: int = Field(default=4, ge=0)
    min_posterior: float = Field(default=0.95, ge=0, le=1)


def _as_fraction(value: object) -> str:
    """``2.2``, ``"2.2"`` and ``"11/5"`` are the same cut; kept exactly, so that counts are compared in integers."""
    cut = Fraction(str(value))
    if cut <= 0:
        raise ValueError("the cut must be above 0")
    return str(cut)


class FishRule(Parameters):
    """A cell is amplified if HER2/CEP17 reaches the cut, in exact integers."""

    kind: Literal["fish"] = "fish"
    cut: Annotated[str, BeforeValidator(_as_fraction)] = Field(default="11/5", description="ratio as a fraction")
    strict: bool = Field(default=False, description="true: above the cut; false: at or above")
    min_her2: float = Field(default=0.0, ge=0, description="HER2 copies needed besides the ratio")
    or_her2: float | None = Field(default=None, ge=0, description="HER2 copies that suffice without the ratio")
    guard: Guard | None = None


class ProteinRule(Parameters):
    """A cell is positive by its HER2 protein class in the IF scan."""

    kind: Literal["protein"] = "protein"
    classes: tuple[Literal["negative", "medium", "high"], ...] = ("high",)


GUARDED = FishRule(guard=Guard())
"""The rule behind ``call_guarded``; the preset ``circe_guarded`` says the same."""


class Prior(Parameters):
    """What a tumour cell's copies are believed to be before it is seen: weights of classes of true states."""

    weights: dict[str, float] = {
        "diploid": 0.58,
        "g2": 0.08,
        "gain": 0.12,
        "polysomy": 0.10,
        "monosomy": 0.05,
        "deletion": 0.02,
        "unusual": 0.02,
        "amplified": 0.02,
        "high": 0.01,
    }
    mean_excess: float = Field(default=1.5, gt=0, description="mean of ratio minus cut among amplified states")


class Call(Parameters):
    """Rule for a cell."""

    rule: Annotated[FishRule | ProteinRule, Field(discriminator="kind")] = FishRule()
    prior: Prior = Prior()


class Summarise(Parameters):
    """From cells to slides and patients."""

    min_amplified: int = Field(default=1, ge=1, description="amplified CTC that make a patient eligible")
    min_fraction: float = Field(default=0.0, ge=0, le=1, description="amplified share of evaluable CTC needed besides")
    min_ctc: int = Field(default=1, ge=1, description="evaluable CTC needed besides")
    share_of_interest: float = Field(default=0.05, gt=0, le=1, description="amplified share a negative should exclude")
    max_false_patients: float = Field(
        default=0.05, gt=0, lt=1, description="falsely positive patients the control allows"
    )
    control_margin: float = Field(
        default=2.0, ge=1, description="times the leukocytes' error rates that the control allows CTC to have"
    )
    absent: float = Field(default=0.85, ge=0, le=1, description="believed share of patients without any amplified CTC")
    share_a: float = Field(default=0.5, gt=0, description="Beta distribution of the amplified share where there is one")
    share_b: float = Field(default=4.0, gt=0)
    min_cells_heterogeneity: int = Field(default=10, ge=2, description="fewer evaluable CTC: metrics are withheld")
    min_patients: int = Field(default=10, ge=2, description="fewer patients: figures between patients are withheld")
    specimen: Literal["none", "asco_cap_2007", "asco_cap_2013", "asco_cap_2018", "cap_2009"] = "none"


class Report(Parameters):
    """Pictures."""

    max_gallery_cells: int = Field(default=60, ge=0)
    crop_um: float = Field(default=20.0, gt=0, description="side of a cell's window")


Quantity = Literal[
    "ratio",
    "her2_count",
    "cep17_count",
    "hybridisation_efficiency",
    "focus",
    "false_call_rate",
    "her2_background",
    "her2_brightness",
    "cep17_background",
    "cep17_brightness",
]
"""What is charted of a control."""


class Qc(Parameters):
    """What the laboratory accepts of itself; the shipped limits are starting points, to be set anew on its own slides.

    A limit of an image is a pair ``(green, red)``: as good as the first is green, as bad as the second is red, between
    them is amber. Which way is good follows from their order.
    """

    max_cv_within_percent: float = Field(
        default=4.74, gt=0, description="ratio of totals, one site (UK NEQAS, intra-site)"
    )
    max_cv_between_percent: float = Field(default=11.9, gt=0, description="the same between sites (UK NEQAS)")
    baseline_results: int = Field(
        default=20, ge=5, description="first results of a control that set target and spread where none are given"
    )
    min_control_cells: int = Field(default=20, ge=1, description="evaluable nuclei a control result needs")
    gate: tuple[Quantity, ...] = Field(
        default=("ratio", "hybridisation_efficiency", "false_call_rate"),
        description="quantities whose broken rules hold a release back; all are charted",
    )
    limits: dict[str, tuple[float, float]] = {
        "focus": (0.6, 0.3),
        "nuclei": (20.0, 3.0),
        "saturated_percent": (0.01, 0.5),
        "exposure_percent": (5.0, 1.0),
        "shading_percent": (30.0, 60.0),
        "chromatic_shift_um": (0.15, 0.3),
        "crosstalk_percent": (10.0, 20.0),
        "her2_snr": (8.0, 5.0),
        "cep17_snr": (8.0, 5.0),
        "hybridised_percent": (90.0, 60.0),
        "out_of_range_percent": (2.0, 10.0),
        "planes": (7.0, 3.0),
    }
