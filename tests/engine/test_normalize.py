"""Normalisation: any dtype to what the encoder sees, one policy for a whole stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from dask import array as da

from samslice.engine.normalize import Normalization, fit, fit_stack

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">f4"]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def disk(shape: tuple[int, int], centre: tuple[int, int], radius: float) -> np.ndarray:
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return (rows - centre[0]) ** 2 + (cols - centre[1]) ** 2 < radius**2


def contrast(picture: np.ndarray) -> int:
    low, high = np.percentile(picture, [2, 98])
    return int(high - low)


# --- what the encoder sees of single planes


@pytest.mark.parametrize("size", [16, 64, 300])
def test_one_hot_pixel_leaves_100_to_300_counts_their_contrast(
    rng: np.random.Generator, size: int
) -> None:
    """A 100–300-count uint16 plane with one 65535 pixel keeps its contrast."""
    ramp = np.linspace(100, 300, size).astype(np.uint16)
    for plane in (np.tile(ramp, (size, 1)), rng.integers(100, 301, (size, size), np.uint16)):
        hot = plane.copy()
        hot[size // 3, size // 2] = 65535
        assert fit(hot).high[0] <= 300
        assert contrast(fit(hot).apply(hot)) > 200
        assert fit(hot).apply(hot)[size // 3, size // 2].tolist() == [255] * 3


@pytest.mark.parametrize("place", [(0, 0), (0, 7), (7, 0), (1, 1), (31, 31), (30, 16)])
def test_hot_and_dead_pixels_count_nowhere_in_the_plane(place: tuple[int, int]) -> None:
    plane = np.tile(np.linspace(1000, 2000, 32), (32, 1))
    clean = fit(plane)
    for value in (1e9, -1e9, 0):
        plane[place] = value
        assert fit(plane).low[0] == pytest.approx(clean.low[0], abs=40)
        assert fit(plane).high[0] == pytest.approx(clean.high[0], abs=40)


def test_two_hot_pixels_side_by_side_do_not_count(rng: np.random.Generator) -> None:
    plane = rng.normal(200, 20, (40, 40))
    plane[20, 20:22] = 60000
    assert fit(plane).high[0] < 300


def test_a_line_one_pixel_wide_is_structure(rng: np.random.Generator) -> None:
    plane = rng.normal(100, 5, (128, 128))
    plane[40, 10:90] = 2000
    plane[np.arange(20, 100), np.arange(20, 100)] = 2000
    assert 1900 <= fit(plane).high[0] <= 2000


def test_an_object_smaller_than_the_percentile_is_not_lost_in_noise(
    rng: np.random.Generator,
) -> None:
    plane = rng.normal(100, 5, (512, 512))
    plane[100:106, 200:206] = 2000  # 36 of 262144 pixels
    picture = fit(plane).apply(plane)
    assert picture[102, 202, 0] > 200
    assert picture[300:, 300:].mean() < 15


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 50), (1, 1), (1, 5000), (5000, 1), (2, 2), (2, 7), (1, 2)])
def test_any_dtype_and_shape_spans_the_grey_levels(dtype: str, shape: tuple[int, int]) -> None:
    size = shape[0] * shape[1]
    plane = (np.linspace(0, 100, size).reshape(shape) * (0.01 if dtype == "?" else 1)).round()
    plane = plane.astype(dtype)
    picture = fit(plane).apply(plane)
    assert picture.shape == (*shape, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert (picture == picture[..., :1]).all()
    if size > 100:
        assert (picture.min(), picture.max()) == (0, 255)
        grey = picture[..., 0].ravel().astype(int)
        assert (np.diff(grey) >= 0).all(), "order is kept"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [8, 600])
def test_constant_planes_are_dark(dtype: str, size: int) -> None:
    for value in (0, 1):
        plane = np.full((size, size), value, dtype)
        assert fit(plane, as_is=False).apply(plane).max() == (255 if dtype == "?" and value else 0)


def test_nan_and_infinities_do_not_count_and_have_their_grey_level(
    rng: np.random.Generator,
) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        plane = rng.uniform(10, 20, (64, 64)).astype(dtype)
        clean = fit(plane)
        plane[:20, :20] = np.nan
        plane[30, 30:50], plane[40, 30:50] = np.inf, -np.inf
        assert fit(plane).low[0] == pytest.approx(clean.low[0], abs=0.3)
        assert fit(plane).high[0] == pytest.approx(clean.high[0], abs=0.3)
        picture = fit(plane).apply(plane)
        assert picture[:20, :20].max() == 0
        assert picture[30, 30:50].min() == 255
        assert picture[40, 30:50].max() == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_plane_without_a_finite_pixel_is_no_crash(value: float) -> None:
    plane = np.full((5, 5), value)
    assert (fit(plane).apply(plane) == (255 if value == np.inf else 0)).all()


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("i8", -(2**63), 2**63 - 1),
        ("u8", 0, 2**64 - 1),
        ("i4", -(2**31), 2**31 - 1),
        ("f4", -3.4e38, 3.4e38),
        ("f8", -1.7e308, 1.7e308),
        ("f2", -65504, 65504),
    ],
)
def test_the_whole_range_of_a_dtype_does_not_overflow(dtype: str, low: Any, high: Any) -> None:
    plane = np.full((30, 30), low, dtype)
    plane[:, 15:] = np.array(high, dtype)
    for normalization in (fit(plane), fit(plane, limits=(float(low), float(high)))):
        picture = normalization.apply(plane)
        assert picture[:, :15].max() == 0
        assert picture[:, 15:].min() == 255


def test_counts_on_a_large_offset_keep_all_their_levels() -> None:
    for dtype, offset in (("i4", 2**24), ("i8", 2**40), ("f8", 2**40), ("f4", 2**20)):
        counts = np.tile(np.arange(256), (256, 1))
        plane = (counts + offset).astype(dtype)
        picture = fit(plane, limits=(offset, offset + 255)).apply(plane)
        np.testing.assert_array_equal(picture[..., 0], counts)


def test_limits_round_to_the_nearest_level_in_every_dtype(rng: np.random.Generator) -> None:
    counts = rng.integers(0, 120, (300, 300))  # large enough for the table of 16-bit values
    expected = np.floor(np.clip((counts - 10) / 90, 0, 1) * 255 + 0.5)
    for dtype in DTYPES[1:]:
        picture = fit(counts.astype(dtype), limits=(10, 100)).apply(counts.astype(dtype))
        np.testing.assert_array_equal(picture[..., 0], expected)


def test_negative_16_bit_values_are_dark_not_wrapped() -> None:
    plane = np.linspace(-30000, 30000, 300 * 300).astype(np.int16).reshape(300, 300)
    grey = fit(plane, limits=(-30000, 30000)).apply(plane)[..., 0].ravel().astype(int)
    assert (grey[0], grey[-1]) == (0, 255)
    assert (np.diff(grey) >= 0).all()


def test_views_and_read_only_planes_are_taken_and_left_alone(rng: np.random.Generator) -> None:
    for dtype in ("?", "u1", "u2", "f8"):
        base = (rng.random((700, 800)) * 200).astype(dtype)
        view = base[::2, ::-2]
        before = base.copy()
        base.flags.writeable = False
        policy = Normalization((20.0,), (150.0,))
        np.testing.assert_array_equal(policy.apply(view), policy.apply(view.copy()))
        fit(view)
        np.testing.assert_array_equal(base, before)


# --- colour


def test_uint8_rgb_goes_as_it_is_unless_another_is_asked_for(rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 100, (20, 30, 3), np.uint8)
    assert fit(rgb).as_is
    picture = fit(rgb).apply(rgb)
    np.testing.assert_array_equal(picture, rgb)
    assert not np.shares_memory(picture, rgb)
    for asked in ({"limits": (0, 100)}, {"percentiles": (1, 99)}, {"as_is": False}):
        assert fit(rgb, **asked).apply(rgb).max() > 200


def test_alpha_is_dropped(rng: np.random.Generator) -> None:
    rgba = rng.integers(0, 256, (20, 30, 4), np.uint8)
    np.testing.assert_array_equal(fit(rgba).apply(rgba), rgba[..., :3])
    rgba16 = rgba.astype(np.uint16)
    assert fit(rgba16) == fit(rgba16[..., :3])


def test_grey_uint8_goes_as_it_is_when_asked(rng: np.random.Generator) -> None:
    grey = rng.integers(0, 100, (20, 30), np.uint8)
    np.testing.assert_array_equal(fit(grey, as_is=True).apply(grey)[..., 1], grey)


def test_unit_float_rgb_looks_like_the_same_uint8_rgb(rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 120, (20, 30, 3), np.uint8)
    unit = (rgb / 255).astype(np.float32)
    np.testing.assert_array_equal(fit(unit).apply(unit), rgb)
    stack = fit_stack(np.stack([unit] * 3))
    np.testing.assert_array_equal(stack.apply(unit), rgb)


def test_measured_limits_keep_the_colours(rng: np.random.Generator) -> None:
    rgb = rng.uniform(0, 1, (64, 64, 3)) * [4000, 2000, 1000]
    picture = fit(rgb.astype(np.uint16)).apply(rgb.astype(np.uint16))
    means = picture.reshape(-1, 3).mean(axis=0)
    assert means[0] > 1.8 * means[1] > 3.2 * means[2]


def test_limits_of_each_channel_apply_to_that_channel() -> None:
    rgb = np.zeros((4, 4, 3), np.uint16) + np.array([100, 200, 300], np.uint16)
    policy = fit(rgb, limits=[(0, 100), (200, 400), (0, 600)])
    assert policy.apply(rgb)[0, 0].tolist() == [255, 0, 128]
    with pytest.raises(ValueError, match="three channels"):
        policy.apply(rgb[..., 0])


# --- stacks


def nuclei(n: int, with_signal: range, rng: np.random.Generator) -> np.ndarray:
    volume = rng.normal(110, 6, (n, 96, 96))
    for z in with_signal:
        volume[z, disk((96, 96), (40, 50), 14)] += 900
    return volume.clip(0).astype(np.uint16)


def test_a_noise_only_plane_in_a_stack_with_signal_comes_out_dark(
    rng: np.random.Generator,
) -> None:
    volume = nuclei(40, range(10, 30), rng)
    policy = fit_stack(volume)
    empty, full = policy.apply(volume[2]), policy.apply(volume[20])
    assert empty.mean() < 10
    assert empty.max() < 25
    assert full[40, 50, 0] > 200


@pytest.mark.parametrize("n", [12, 60, 300])
def test_what_is_bright_on_few_planes_counts(rng: np.random.Generator, n: int) -> None:
    """Planes of noise have no vote against the few that hold something."""
    volume = nuclei(n, range(n // 2 - 2, n // 2 + 3), rng)
    policy = fit_stack(volume)
    assert policy.high[0] > 800
    assert policy.apply(volume[0]).mean() < 10


def test_dim_planes_do_not_saturate_a_bright_quarter(rng: np.random.Generator) -> None:
    volume = np.stack([disk((96, 96), (40, 50), 14) * 100.0] * 40) + rng.normal(
        100, 2, (40, 96, 96)
    )
    volume[:6, disk((96, 96), (60, 30), 14)] = 3000
    policy = fit_stack(volume)
    assert policy.high[0] > 2500


def test_one_extraordinary_plane_does_not_darken_a_deep_stack(rng: np.random.Generator) -> None:
    volume = nuclei(32, range(32), rng)
    volume[7, disk((96, 96), (70, 70), 10)] = 9000
    assert 800 < fit_stack(volume).high[0] < 1300


def test_constant_planes_say_nothing(rng: np.random.Generator) -> None:
    """Padding of 0 and saturated exposures do not move the limits."""
    volume = np.tile(np.linspace(30000, 34000, 64), (20, 64, 1))
    volume += rng.normal(0, 50, volume.shape)
    padded = volume.astype(np.uint16)
    clean = fit_stack(padded)
    padded[:5], padded[9], padded[15:] = 0, 65535, 0
    policy = fit_stack(padded)
    assert policy.low[0] == pytest.approx(clean.low[0], abs=100)
    assert policy.high[0] == pytest.approx(clean.high[0], abs=100)
    assert policy.apply(padded[0]).max() == 0


def test_more_planes_are_read_where_the_first_held_only_noise(rng: np.random.Generator) -> None:
    volume = nuclei(200, range(95, 101), rng)
    first = {int(i) for i in np.linspace(0, 199, 8).round()}
    assert not first & set(range(95, 101)), "the first sample misses the signal"
    for planes in (8, 16, 32):
        policy = fit_stack(volume, planes=planes)
        assert policy.apply(volume[0]).mean() < 45
        assert policy.apply(volume[0]).std() < 25


def test_noise_is_not_stretched_where_the_sample_missed_the_signal(
    rng: np.random.Generator,
) -> None:
    volume = nuclei(200, range(1, 2), rng)
    policy = fit_stack(volume, planes=3)
    assert policy.apply(volume[0]).mean() < 45
    assert policy.apply(volume[0]).std() < 20
    assert policy.apply(volume[1])[40, 50, 0] == 255


def test_signal_above_a_constant_background_shows_even_if_the_sample_missed_it() -> None:
    volume = np.zeros((100, 16, 16), np.uint16)
    volume[1, 4:9, 4:9] = 700
    picture = fit_stack(volume, planes=2).apply(volume[1])
    assert (picture[..., 0] == 255).sum() == 25


def test_stack_of_rgb(rng: np.random.Generator) -> None:
    volume = rng.integers(0, 200, (6, 20, 30, 3), np.uint8)
    assert fit_stack(volume).as_is
    asked = fit_stack(volume, as_is=False)
    assert not asked.as_is
    assert asked.apply(volume[0]).shape == (20, 30, 3)


def test_one_plane_is_a_stack_of_one(rng: np.random.Generator) -> None:
    plane = nuclei(1, range(1), rng)[0]
    assert fit(plane) == fit_stack(plane[None]) == fit_stack([plane])


class Watched:
    """A stack that writes down which planes were read."""

    def __init__(self, volume: np.ndarray) -> None:
        self._volume, self.shape, self.dtype = volume, volume.shape, volume.dtype
        self.reads: list[int] = []

    def __getitem__(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return self._volume[index]


def test_only_a_bounded_number_of_planes_is_read_each_once(rng: np.random.Generator) -> None:
    signal = Watched(nuclei(500, range(500), rng))
    fit_stack(signal, planes=16)
    assert len(signal.reads) == len(set(signal.reads)) == 16
    assert (min(signal.reads), max(signal.reads)) == (0, 499)
    noise = Watched(nuclei(500, range(0), rng))
    fit_stack(noise, planes=16)
    assert len(noise.reads) == len(set(noise.reads)) <= 32


def test_given_limits_read_nothing(rng: np.random.Generator) -> None:
    volume = Watched(nuclei(5, range(5), rng))
    assert fit_stack(volume, limits=(100, 1000)) == Normalization((100.0,), (1000.0,))
    assert volume.reads == []


def test_lazy_stacks_give_what_numpy_gives(rng: np.random.Generator, tmp_path: Path) -> None:
    volume = nuclei(12, range(4, 9), rng)
    np.save(tmp_path / "v.npy", volume)
    stored = zarr.create_array(
        tmp_path / "v.zarr", shape=volume.shape, chunks=(1, 96, 96), dtype=volume.dtype
    )
    stored[:] = volume
    lazy = da.from_array(volume, chunks=(1, 96, 96))
    for stack in (np.load(tmp_path / "v.npy", mmap_mode="r"), stored, lazy):
        assert fit_stack(stack) == fit_stack(volume)


def test_percentiles_are_taken_as_asked() -> None:
    plane = np.tile(np.arange(1001.0), (20, 1))
    policy = fit(plane, percentiles=(10, 90))
    assert policy.low[0] == pytest.approx(100, abs=2)
    assert policy.high[0] == pytest.approx(900, abs=2)


# --- the value


def test_key_tells_apart_exactly_what_differs() -> None:
    policies = [
        Normalization((0.1,), (0.3,)),
        Normalization((0.1,), (0.1 + 0.2,)),
        Normalization((0.0,), (255.0,)),
        Normalization((0.0,), (255.0,), as_is=True),
        Normalization((0.0,) * 3, (255.0,) * 3),
    ]
    assert len({p.key for p in policies}) == len(policies)
    assert Normalization((np.float32(3),), (7,)).key == Normalization((3.0,), (7.0,)).key


@pytest.mark.parametrize("shape", [(5,), (4, 5, 2), (4, 5, 5), (2, 4, 5, 3), (0, 5), (5, 0, 3), ()])
def test_other_plane_shapes_are_refused(shape: tuple[int, ...]) -> None:
    for refuse in (fit, Normalization().apply):
        with pytest.raises(ValueError, match=r"allowed is \(rows, columns\) or"):
            refuse(np.zeros(shape))


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5, 2), (2, 3, 4, 5, 3), (0, 4, 5), (3, 0, 5)])
def test_other_stack_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"allowed is \(planes, rows, columns\)"):
        fit_stack(np.zeros(shape))


@pytest.mark.parametrize("dtype", ["c8", "O", "U3", "M8[s]"])
def test_other_dtypes_are_refused(dtype: str) -> None:
    for refuse in (fit, Normalization().apply):
        with pytest.raises(TypeError, match="allowed are bool, integers and floats"):
            refuse(np.zeros((4, 5), dtype))
    with pytest.raises(TypeError, match="allowed are bool, integers and floats"):
        fit_stack(np.zeros((3, 4, 5), dtype))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"limits": (3, 3)}, "low < high"),
        ({"limits": (3, np.nan)}, "low < high"),
        ({"limits": (0, np.inf)}, "finite"),
        ({"limits": [(0, 1), (0, 1)]}, "three"),
        ({"limits": (1, 2, 3)}, "low < high"),
        ({"percentiles": (50, 50)}, "percentiles"),
        ({"percentiles": (-1, 50)}, "percentiles"),
        ({"percentiles": (1, 99), "limits": (0, 1)}, "exclude each other"),
        ({"as_is": True, "limits": (0, 1)}, "exclude each other"),
    ],
)
def test_choices_out_of_range_are_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(np.zeros((4, 5), np.uint8), **choice)


def test_as_is_takes_uint8_alone() -> None:
    with pytest.raises(TypeError, match="uint8"):
        fit(np.zeros((4, 5), np.uint16), as_is=True)
    with pytest.raises(TypeError, match="uint8"):
        Normalization(as_is=True).apply(np.zeros((4, 5)))
    with pytest.raises(ValueError, match="at least 1"):
        fit_stack(np.zeros((3, 4, 5)), planes=0)
