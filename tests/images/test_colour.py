"""Colours told by profiles of every kind, by CICP, and by the chunks of a PNG: used, converted and said, or refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from conftest import DISPLAY_P3_LIKE, GREY_GAMMA_18, gradient, noise, pillow, save
from PIL import Image, ImageCms
from support import profiles
from support.cases import case
from support.profiles import Array, forward_table, grey_tags, matrix_tags, profile, reverse_table

from restorect_cli.errors import InputError
from restorect_cli.images import cicp
from restorect_cli.images.containers import png_chunk, png_chunks
from restorect_cli.images.picture import Picture, WriteOptions
from restorect_cli.images.reading import read
from restorect_cli.images.view import WorkingView
from restorect_cli.images.vips import pyvips, to_vips
from restorect_cli.images.writing import encode, write_notes

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def seen(picture: Picture) -> Array:
    view = WorkingView(picture)
    return view.window(0, view.height, 0, view.width)


def encoded(linear: Array) -> Array:
    """sRGB's curve, IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


# --- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("kind", [b"scnr", b"mntr", b"prtr", b"spac"])
@pytest.mark.parametrize("space", [b"RGB ", b"GRAY"])
@pytest.mark.parametrize("shape", ["curves", "table XYZ", "table Lab", "table XYZ one way", "table Lab one way"])
def test_profiles_of_every_kind_are_used(version: int, kind: bytes, space: bytes, shape: str) -> None:
    pcs = b"Lab " if "Lab" in shape else b"XYZ "
    bands = 3 if space == b"RGB " else 1
    if shape == "curves":
        tags = matrix_tags() if bands == 3 else grey_tags()
    else:
        tags = {b"A2B0": forward_table(space, pcs)}
        if "one way" not in shape:
            tags[b"B2A0"] = reverse_table(space, pcs)
    icc = profile(tags, kind, space, pcs, version)
    pixels = noise(8, 8, bands)
    source = read(pillow(pixels, "tiff", icc_profile=icc))
    tolerance = 0.01 if shape == "curves" else 0.08  # of nine points an axis
    np.testing.assert_allclose(seen(source), encoded((pixels / 255) ** profiles.GAMMA) + np.zeros(3), atol=tolerance)
    if "one way" in shape:
        assert source.meta.icc is None
        assert "converts one way only; the picture was converted to sRGB" in source.meta.notes[0]
    else:
        assert source.meta.icc == icc and source.meta.notes == ()
        assert read(encode(source)).meta.icc == icc


@pytest.mark.parametrize(
    ("icc", "mode", "reason"),
    [
        (profile(matrix_tags(), b"link", b"RGB "), "RGB", "a device link, which describes no pixels"),
        (profile(matrix_tags(), b"abst", b"RGB "), "RGB", "an abstract profile, which describes no pixels"),
        (GREY_GAMMA_18, "RGB", "is for grey and the pixels are RGB; the colours are taken as sRGB"),
        (SRGB, "L", "is for RGB and the pixels are grey; the picture was converted to sRGB"),
        (profile({}, b"prtr", b"CMYK"), "RGB", "is for CMYK and the pixels are RGB"),
        (profile({}, b"mntr", b"RGB "), "RGB", "is damaged"),
        (SRGB[: len(SRGB) // 2], "RGB", "is damaged"),
        (b"junk", "RGB", "is damaged"),
    ],
)
def test_a_profile_that_describes_no_such_pixels_is_left_out_with_the_reason(
    icc: bytes, mode: str, reason: str
) -> None:
    source = read(save(Image.fromarray(noise(8, 8)).convert(mode), "jpeg", icc_profile=icc))
    assert source.meta.icc is None and len(source.meta.notes) == 1
    assert reason in source.meta.notes[0]


def test_grey_pixels_of_an_rgb_profile_become_srgbs_grey() -> None:
    grey = gradient(8, 8, 1)
    source = read(pillow(grey, "tiff", icc_profile=profile(matrix_tags(), b"mntr", b"RGB ")))
    np.testing.assert_allclose(source.pixels / 255, encoded((grey / 255) ** profiles.GAMMA), atol=0.01)


def test_cmyk_profiles_are_used_and_the_general_one_is_said() -> None:
    ink = Image.fromarray(noise(8, 8)).convert("CMYK")
    icc = profile({b"A2B0": forward_table(b"CMYK", b"Lab ")}, b"prtr", b"CMYK", b"Lab ")
    source = read(save(ink, "tiff", icc_profile=icc))
    cmyk = np.asarray(ink) / 255
    expected = encoded(((1 - cmyk[..., :3]) * (1 - cmyk[..., 3:])) ** profiles.GAMMA)
    np.testing.assert_allclose(source.pixels / 255, expected, atol=0.1)
    assert source.meta.notes == ("converted from CMYK to sRGB",)
    for other in (None, SRGB, b"junk"):
        assert "general press profile" in read(save(ink, "tiff", icc_profile=other)).meta.notes[0]


# --- CICP ----------------------------------------------------------------------------------------------------------


def with_chunks(file: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """The PNG file with these chunks after its header."""
    return file[:33] + b"".join(png_chunk(kind, data) for kind, data in chunks) + file[33:]


def cicp_chunk(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, 1])


def avif(primaries: int, transfer: int, pixels: Array) -> bytes:
    """An AVIF that tells its colours by CICP: the codes of a lossless one, which libvips writes, are exchanged."""
    file = to_vips(pixels).heifsave_buffer(compression="av1", lossless=True, bitdepth=8, keep="none")
    assert file.count(b"nclx") == 1
    at = file.index(b"nclx") + 4
    return bytes(file[:at] + struct.pack(">HH", primaries, transfer) + file[at + 4 :])


def make(container: str, primaries: int, transfer: int, pixels: Array) -> bytes:
    if container == "avif":
        return avif(primaries, transfer, pixels)
    return with_chunks(pillow(pixels, "png"), cicp_chunk(primaries, transfer))


@pytest.mark.parametrize("container", ["png", "avif"])
@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_with_the_true_reason(container: str, transfer: int, name: str) -> None:
    with pytest.raises(InputError, match=rf"its colours are HDR \({name}\), which is not supported"):
        read(make(container, 9, transfer, gradient(16, 16)))


@pytest.mark.parametrize("container", ["png", "avif"])
@pytest.mark.parametrize("codes", [(250, 13), (1, 9), (10, 13)])
def test_codes_without_a_meaning_for_us_are_refused(container: str, codes: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="not supported \\(CICP"):
        read(make(container, *codes, gradient(16, 16)))


@pytest.mark.parametrize("container", ["png", "avif"])
@pytest.mark.parametrize("codes", [(1, 13), (2, 2), (2, 13), (1, 2)])
def test_codes_of_srgb_need_no_profile(container: str, codes: tuple[int, int]) -> None:
    source = read(make(container, *codes, gradient(16, 16)))
    assert source.meta.icc is None and source.meta.notes == ()


@pytest.mark.parametrize("container", ["png", "avif"])
@pytest.mark.parametrize("primaries", [1, 4, 5, 6, 7, 8, 9, 11, 12, 22])
@pytest.mark.parametrize("transfer", [1, 4, 5, 7, 8, 13, 14])
def test_colours_of_cicp_are_seen_as_srgb(container: str, primaries: int, transfer: int) -> None:
    source = read(make(container, primaries, transfer, np.full((16, 16, 3), (200, 180, 160), np.uint8)))
    values = np.array([200, 180, 160]) / 255
    curves = {
        **dict.fromkeys((1, 14), np.where(values < 0.081, values / 4.5, ((values + 0.099) / 1.099) ** (1 / 0.45))),
        **{4: values**2.2, 5: values**2.8, 8: values, 13: ((values + 0.055) / 1.055) ** 2.4},
        7: ((values + 0.1115) / 1.1115) ** (1 / 0.45),
    }
    expected = encoded(np.clip(to_bt709(primaries) @ curves[transfer], 0, 1))
    np.testing.assert_allclose(seen(source)[8, 8], expected, atol=0.006)


def to_bt709(primaries: int) -> Array:
    """Linear RGB → linear BT.709, adapted to D65 by Bradford: derived here a second time, from the chromaticities."""
    corners = np.array(cicp.PRIMARIES[primaries][1]).reshape(4, 2)

    def xyz(xy: Array) -> Array:
        return np.array([xy[0] / xy[1], 1, (1 - xy.sum()) / xy[1]])

    def matrix(corners: Array) -> Array:
        columns = np.stack([xyz(c) for c in corners[:3]], axis=1)
        return columns @ np.diag(np.linalg.inv(columns) @ xyz(corners[3]))

    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    target = np.array([[0.64, 0.33], [0.3, 0.6], [0.15, 0.06], [0.3127, 0.329]])
    scale = (cones @ xyz(target[3])) / (cones @ xyz(corners[3]))
    adapted = np.linalg.inv(cones) @ np.diag(scale) @ cones
    result: Array = np.linalg.inv(matrix(target)) @ adapted @ matrix(corners)
    return result


@pytest.mark.parametrize("container", ["png", "avif"])
@pytest.mark.parametrize("bands", [1, 3])
def test_cicp_is_kept_in_png_and_else_becomes_a_profile(container: str, bands: int) -> None:
    if (container, bands) == ("avif", 1):
        pytest.skip("AVIF is read as RGB")
    source = read(make(container, 12, 8, gradient(16, 16, bands)))
    assert source.meta.cicp == (12, 8) and source.meta.icc
    again = encode(source, WriteOptions(format="png"))
    assert b"iCCP" not in again and cicp_chunk(12, 8)[1] in again
    assert read(again).meta.cicp == (12, 8)
    for format in ("jpeg", "tiff", "webp", "avif"):
        options = WriteOptions(format=format)
        assert any("written as an ICC profile" in note for note in write_notes(source.meta, options))
        if bands == 3:
            assert read(encode(source, options)).meta.icc == source.meta.icc


def test_cicp_goes_before_a_profile_and_a_profile_before_gamma() -> None:
    file = pillow(gradient(8, 8), "png", icc_profile=DISPLAY_P3_LIKE)
    assert read(with_chunks(file, cicp_chunk(9, 1))).meta.cicp == (9, 1)
    gamma = (b"gAMA", struct.pack(">I", 100000))
    source = read(with_chunks(file, gamma))
    assert source.meta.icc == DISPLAY_P3_LIKE
    again = encode(source)
    assert read(again).meta.icc == DISPLAY_P3_LIKE and b"gAMA" in again


def test_an_avif_whose_properties_are_cut_is_read_or_refused() -> None:
    file = avif(12, 13, gradient(16, 16))
    for end in range(0, len(file), 7):
        cicp.cicp_of_avif(file[:end])


# --- chunks of a PNG -----------------------------------------------------------------------------------------------

CHRM_SRGB = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
CHRM_P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
GAMMA_22, LINEAR = struct.pack(">I", 45455), struct.pack(">I", 100000)


def chunks_of(file: bytes) -> dict[bytes, bytes]:
    return {kind: file[at : at + size] for kind, at, size in png_chunks(file)}


@pytest.mark.parametrize(
    "chunks",
    [
        {b"sRGB": b"\0"},
        {b"gAMA": GAMMA_22},
        {b"gAMA": GAMMA_22, b"cHRM": CHRM_SRGB},
        {b"gAMA": LINEAR, b"cHRM": CHRM_P3, b"sRGB": b"\1"},  # sRGB goes before the others
    ],
)
def test_chunks_that_say_srgb_are_kept_and_need_no_profile(chunks: dict[bytes, bytes]) -> None:
    source = read(with_chunks(pillow(gradient(8, 8), "png"), *chunks.items()))
    assert source.meta.icc is None and source.meta.notes == ()
    assert chunks.items() <= chunks_of(encode(source)).items()
    assert write_notes(source.meta, WriteOptions(format="jpeg")) == ()


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("chunks", [{b"gAMA": LINEAR}, {b"cHRM": CHRM_P3}, {b"gAMA": LINEAR, b"cHRM": CHRM_P3}])
def test_other_gamma_and_primaries_are_used_and_kept(bands: int, chunks: dict[bytes, bytes]) -> None:
    pixels = np.full((8, 8, bands), (200, 180, 160)[:bands], np.uint8)
    source = read(with_chunks(pillow(pixels, "png"), *chunks.items()))
    values = np.array((200, 180, 160) if bands == 3 else (200, 200, 200)) / 255
    linear = values if b"gAMA" in chunks else ((values + 0.055) / 1.055) ** 2.4
    expected = encoded(to_bt709(12 if b"cHRM" in chunks else 1) @ linear)
    np.testing.assert_allclose(seen(source)[4, 4], expected, atol=0.006)
    again = encode(source)
    assert chunks.items() <= chunks_of(again).items() and b"iCCP" not in chunks_of(again)
    if source.meta.icc:
        assert any("written as an ICC profile" in n for n in write_notes(source.meta, WriteOptions(format="tiff")))
        assert read(encode(source, WriteOptions(format="tiff"))).meta.icc == source.meta.icc


@pytest.mark.parametrize("chunk", [(b"gAMA", bytes(4)), (b"cHRM", bytes(32)), (b"cHRM", b"\xff" * 32)])
def test_chunks_that_say_nothing_possible_are_left_out_with_a_note(chunk: tuple[bytes, bytes]) -> None:
    source = read(with_chunks(pillow(gradient(8, 8), "png"), chunk))
    assert source.meta.icc is None and "chunk is damaged" in source.meta.notes[0]
    assert chunk[0] not in chunks_of(encode(source))


def test_a_made_profile_is_one_for_little_cms() -> None:
    for bands in (1, 3):
        told = cicp.told_by_cicp(12, 8, bands)
        assert told.icc is not None
        image = pyvips.Image.black(4, 4, bands=bands).copy(interpretation="srgb" if bands == 3 else "b-w")
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", told.icc)
        assert image.icc_import(embedded=True).avg() >= 0


@pytest.mark.parametrize("name", ["hdr-pq.avif", "png-cicp-pq.png"])
def test_cases_of_hdr(name: str) -> None:
    with pytest.raises(InputError, match="HDR"):
        read(case(name))


def test_the_case_of_p3() -> None:
    assert read(case("p3-cicp.avif")).meta.cicp == (12, 13)
