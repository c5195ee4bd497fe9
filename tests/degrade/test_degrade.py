from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from support.photographs import picture

from restorect_cli.degrade import darkness, noise, rain, raindrop, table
from restorect_cli.recipes.recipe import Degradation

LAYERS = [(np.random.default_rng(0).random((96, 96, 3)) ** 8 * 255).astype(np.uint8)]


@pytest.fixture
def small_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "BANK_LAYERS", 3)


@pytest.mark.usefixtures("small_bank")
@pytest.mark.parametrize("shape", [(96, 96), (33, 140)])
@pytest.mark.parametrize("name", sorted({*get_args(Degradation)} - {"pair"}))
def test_same_seed_same_picture_and_nothing_is_not_finite(name: str, shape: tuple[int, int]):
    degrade = table.make(name, LAYERS if name.endswith("-layers") else [], seed=3)
    scene = table.Scene(picture(1, *shape), picture(1, 100, 150), 320, averaged=4.0)
    first, again = (degrade(scene, np.random.default_rng(5)) for _ in range(2))
    other = degrade(scene, np.random.default_rng(6))
    for a, b, like in zip(first, again, (scene.crop, scene.thumb), strict=True):
        assert a.shape == like.shape and a.dtype == np.float32
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)
    if name != "none":
        assert not np.array_equal(first[0], other[0])
    if name != "gaussian":  # the standard test noise is not clipped; all else is a file
        assert first[0].min() >= 0 and first[0].max() <= 1


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_gaussian_noise_has_the_sigma_asked_for(sigma: float):
    grey = np.full((256, 256, 3), 0.5, np.float32)
    added = noise.gaussian(grey, sigma, np.random.default_rng(0)) - grey
    assert abs(added.std() * 255 / sigma - 1) < 0.02
    assert abs(added.mean() * 255) < sigma * 0.01


def test_gaussian_noise_is_not_clipped():
    assert noise.gaussian(np.zeros((64, 64, 3), np.float32), 25, np.random.default_rng(0)).min() < -0.1


def test_camera_noise_grows_with_its_strength():
    image, errors = picture(2, 128, 128), []
    for strength in (0.05, 0.4, 1.0):
        noisy = [noise.camera(image, np.random.default_rng(s), strength) for s in range(6)]
        errors.append(np.mean([np.abs(n - image).mean() for n in noisy]))
    assert errors[0] < errors[1] < errors[2]


def test_darkness_darkens_and_its_thumbnail_agrees():
    image = picture(3, 96, 96)
    for seed in range(20):
        dark = darkness.Darkness.draw(np.random.default_rng(seed))
        noisy = dark.apply(image, np.random.default_rng(seed))
        assert noisy.mean() < image.mean()
        assert abs(noisy.mean() - dark.apply(image, None).mean()) < 0.02


def test_a_dark_picture_stays_in_range():
    bright = darkness.Darkness(gain=1.0, gamma=2.2, cast=(1.3, 1.0, 1.0), shot=0.1, read=0.01)
    noisy = bright.apply(np.ones((16, 16, 3), np.float32), np.random.default_rng(0))
    assert noisy.min() >= 0 and noisy.max() == 1


def test_a_dark_thumbnail_has_the_noise_of_means():
    dark = darkness.Darkness(gain=0.3, gamma=1.0, cast=(1.0, 1.0, 1.0), shot=0.0, read=1e-4)
    grey = np.full((64, 64, 3), 0.5, np.float32)
    noise = [dark.apply(grey, np.random.default_rng(0), averaged).std() for averaged in (1.0, 4.0)]
    assert noise[1] == pytest.approx(noise[0] / 4, rel=0.1)


def test_kernel_is_a_streak_of_the_length_and_direction_asked_for():
    upright = rain.streak_kernel(30, 2, 0)
    rows, columns = np.nonzero(upright > 0.5)
    assert upright.max() == 1
    assert 26 <= np.ptp(rows) <= 34 and np.ptp(columns) <= 3
    leaning = rain.streak_kernel(30, 2, 20)
    rows, columns = np.nonzero(leaning > 0.5)
    slope = np.polyfit(rows, columns, 1)[0]
    assert abs(np.rad2deg(np.arctan(-slope)) - 20) < 3  # leans right at the top


def test_heavy_rain_is_heavier_than_light_rain_and_only_adds_light():
    bank = rain.StreakBank.generate(0, 12)
    image = 0.3 + 0.5 * picture(4, 128, 128)  # as bright as a photograph

    def psnr(lay) -> float:  # type: ignore[no-untyped-def]
        errors = [np.mean((np.clip(lay(image, bank, np.random.default_rng(s)), 0, 1) - image) ** 2) for s in range(40)]
        return float(np.median(-10 * np.log10(np.array(errors) + 1e-9)))

    assert 20 < psnr(rain.light_rain) < 34  # Rain100L's inputs lie near 27 dB
    assert 8 < psnr(rain.heavy_rain) < 14  # half of Rain100H's inputs have less than 12
    assert (rain.light_rain(image, bank, np.random.default_rng(1)) >= image - 1e-6).all()


def test_drops_cover_what_is_asked_and_leave_the_rest_nearly_alone():
    image = picture(5, 160, 160)
    covers = []
    for coverage in (0.2, 1.0, 4.0):
        masks = [raindrop.height_map(160, 160, 0.7, np.random.default_rng(s), coverage)[0] > 0 for s in range(8)]
        covers.append(np.mean(masks))
    assert covers[0] < covers[1] < covers[2]
    assert 0.1 < covers[1] < 0.7  # real pairs: 20 to 70 %
    wet = raindrop.drops(image, np.random.default_rng(0), coverage=0.2)
    assert np.median(np.abs(wet - image)) < 0.06


def test_a_drop_shows_the_scene_upside_down():
    height = np.zeros((80, 80), np.float32)
    rows_of, columns_of = height.copy(), height.copy()
    rows, columns = np.mgrid[:80, :80].astype(np.float32)
    q = np.hypot(rows - 40, columns - 40) / 20
    height = (10 * np.sqrt(np.clip(1 - q * q, 0, None))).astype(np.float32)
    rows_of[:], columns_of[:] = 40, 40
    sky_above = np.zeros((200, 160, 3), np.float32)
    sky_above[:100] = 1
    surroundings = raindrop.Surroundings(sky_above, 1.0, (60.0, 40.0))
    layer, mask = raindrop.refract(surroundings, height, rows_of, columns_of, 60.0, np.random.default_rng(0))
    assert mask[40, 40] == 1 and mask[5, 5] == 0
    assert layer[50, 40].mean() > layer[30, 40].mean()  # the bright sky stands at the drop's bottom


@pytest.mark.parametrize("blades", [0, 5, 6])
def test_aperture_blur_keeps_a_constant_and_its_place(blades: int):
    flat = np.full((40, 30, 3), 0.3, np.float32)
    np.testing.assert_allclose(raindrop.aperture_blur(flat, 4.0, blades), flat, atol=1e-5)
    point = np.zeros((41, 41, 1), np.float32)
    point[20, 20] = 1
    blurred = raindrop.aperture_blur(point, 5.0, blades)[..., 0]
    np.testing.assert_allclose(blurred, blurred[::-1], atol=1e-6)  # unturned, the first side stands upright
    assert abs(blurred.sum() - 1) < 1e-4
    apart = np.hypot(*(np.argwhere(blurred > 1e-6) - 20).T)
    assert (blades > 0) == (blurred.max() > 1.1 / (np.pi * 5**2))  # a polygon covers less than the disc around it
    assert 4.5 <= apart.max() <= 6


def test_light_beyond_white_shines_in_drops():
    """Drops on a dark picture with a white lamp: some pictures show light brighter than the lamp would give."""
    picture = np.full((120, 160, 3), 0.1, np.float32)
    picture[50:60, 70:80] = 1
    shown = raindrop.shrunk(picture**raindrop.GAMMA, 1)
    brightest = [
        float(raindrop.environment(shown, 120.0, (120, 160), np.random.default_rng(seed)).image.max())
        for seed in range(40)
    ]
    assert 0.2 < np.mean(np.array(brightest) > 2) < 0.8
    assert max(brightest) > 13  # the sun
