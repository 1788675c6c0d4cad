"""What OME-XML says, and XML that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcfish.errors import InputError
from ctcfish.io.ome_xml import OmeImage, parse

HERE = Path("scan.ome.tif")


def one(instrument: str = "", image: str = "", pixels: str = "", attributes: str = "") -> OmeImage:
    text = (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{instrument}<Image ID="Image:0" Name="n">'
        f'{image}<Pixels ID="Pixels:0" SizeC="2" SizeT="1" {attributes}>{pixels}</Pixels></Image></OME>'
    )
    (found,) = parse(text, HERE)
    return found


def test_nothing_stated_is_nothing_known() -> None:
    found = one()
    assert (found.pixel_um, found.z_step_um, found.na, found.gain, found.offset, found.stage_um) == (None,) * 6
    assert found.channel_names == ()


def test_default_unit_is_the_micrometre_and_y_comes_first() -> None:
    found = one(attributes='PhysicalSizeX="0.2" PhysicalSizeY="0.1" PhysicalSizeZ="500" PhysicalSizeZUnit="nm"')
    assert found.pixel_um == (0.1, 0.2)
    assert found.z_step_um == pytest.approx(0.5)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "abc", ""])
def test_sizes_that_say_nothing_are_missing(value: str) -> None:
    assert one(attributes=f'PhysicalSizeX="{value}" PhysicalSizeY="{value}"').pixel_um is None


def test_channels_with_names_dyes_and_emission() -> None:
    found = one(
        pixels='<Channel ID="C:0" Name="DAPI" EmissionWavelength="461"/>'
        '<Channel ID="C:1" Fluor="SpectrumOrange" EmissionWavelength="0.588" EmissionWavelengthUnit="\u00b5m"/>'
        '<Channel ID="C:2" EmissionWavelength="12"/>'
    )
    assert found.channel_names == ("DAPI", "SpectrumOrange", "")
    assert found.emission_nm == (461.0, pytest.approx(588.0), None)


def test_aperture_is_of_the_objective_used() -> None:
    instrument = (
        '<Instrument ID="I:0"><Objective ID="O:0" LensNA="0.45"/><Objective ID="O:1" LensNA="1.4"/></Instrument>'
    )
    assert one(instrument, '<ObjectiveSettings ID="O:1"/>').na == 1.4
    assert one(instrument).na is None
    assert one('<Instrument ID="I:0"><Objective ID="O:0" LensNA="0.75"/></Instrument>').na == 0.75


def camera(first: str, second: str, detector: str = 'Type="CMOS" Offset="100"') -> OmeImage:
    settings = "".join(
        f'<Channel ID="C:{k}"><DetectorSettings ID="D:0" {text}/></Channel>' for k, text in enumerate((first, second))
    )
    return one(f'<Instrument ID="I:0"><Detector ID="D:0" {detector}/></Instrument>', pixels=settings)


@pytest.mark.parametrize("gain", ["2.2", "1", "100"])
def test_camera_of_settings_and_detector(gain: str) -> None:
    found = camera(f'Gain="{gain}"', f'Gain="{gain}"')
    assert (found.gain, found.offset) == (float(gain), 100.0)


@pytest.mark.parametrize(
    ("first", "second", "detector"),
    [
        ('Gain="2.2"', 'Gain="3"', 'Type="CMOS" Offset="100"'),
        ('Gain="2.2"', 'Gain="2.2"', 'Type="CMOS"'),
        ('Gain="1"', 'Gain="1"', 'Type="CMOS" Offset="0"'),
        ('Gain="300"', 'Gain="300"', 'Type="EMCCD" Offset="100"'),
        ('Gain="3"', 'Gain="3"', 'Type="PMT" Offset="100"'),
        ('Gain="101"', 'Gain="101"', 'Type="CCD" Offset="100"'),
        ("", "", 'Type="CCD" Offset="100"'),
    ],
    ids=["two gains", "no offset", "unset", "electron multiplying", "photomultiplier", "too large", "none"],
)
def test_gain_that_cannot_be_believed_is_not_known(first: str, second: str, detector: str) -> None:
    found = camera(first, second, detector)
    assert (found.gain, found.offset) == (None, None)


def test_stage_position_of_the_first_plane_keeps_its_sign() -> None:
    plane = '<Plane TheC="0" PositionX="-1.5" PositionXUnit="mm" PositionY="20" PositionYUnit="\u00b5m"/>'
    assert one(pixels=plane).stage_um == (20.0, -1500.0)
    assert one(pixels='<Plane TheC="0" PositionX="-1.5" PositionY="20"/>').stage_um is None


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<OME><Image Name="&b;"/></OME>'
)


@pytest.mark.parametrize("text", [BOMB, "<OME><Image></OME>", "", "<OME>\x00</OME>"])
def test_entities_and_broken_xml_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"scan\.ome\.tif: found broken OME-XML .* needed valid OME-XML"):
        parse(text, HERE)


def test_xml_without_image_is_refused() -> None:
    with pytest.raises(InputError, match="found OME-XML without an image"):
        parse("<OME/>", HERE)


def test_an_axis_inside_an_axis_is_refused() -> None:
    text = (
        '<OME><StructuredAnnotations><XMLAnnotation ID="A:0"><Value><Modulo><ModuloAlongZ End="1e12"/></Modulo></Value>'
        "</XMLAnnotation></StructuredAnnotations><Image/></OME>"
    )
    with pytest.raises(InputError, match=r"found an axis inside an axis \(ModuloAlongZ\)"):
        parse(text, HERE)
