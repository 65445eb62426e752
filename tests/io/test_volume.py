"""Laws of reading: the right axes, the right pixels, and no more of them than asked for."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from samslice.io import read_volume

STACK = np.arange(5 * 40 * 50, dtype=np.uint16).reshape(5, 40, 50)


def _write(path, kind):
    if kind == "plain":
        tifffile.imwrite(path, STACK)
    elif kind == "compressed":
        tifffile.imwrite(path, STACK, compression="zlib", metadata={"axes": "ZYX"})
    elif kind == "imagej":
        tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZYX"})
    elif kind == "ome":
        tifffile.imwrite(path, STACK, ome=True, compression="zlib", metadata={"axes": "ZYX"})
    elif kind == "pages":
        with tifffile.TiffWriter(path) as file:
            for plane in STACK:
                file.write(plane, contiguous=False, metadata=None)
    elif kind == "tiles":
        tifffile.imwrite(path, STACK, tile=(16, 16), metadata={"axes": "ZYX"})


@pytest.mark.parametrize("kind", ["plain", "compressed", "imagej", "ome", "pages", "tiles"])
def test_every_way_to_write_a_tiff_stack_reads_the_same(tmp_path, kind):
    path = tmp_path / "stack.tif"
    _write(path, kind)
    volume = read_volume(path)
    assert volume.shape == STACK.shape
    assert volume.dtype == STACK.dtype
    assert volume.axes[1:] == "YX"
    assert volume.is_stack
    np.testing.assert_array_equal(volume[3], STACK[3])
    np.testing.assert_array_equal(np.asarray(volume), STACK)
    np.testing.assert_array_equal(volume[-1, 10:20, ::2], STACK[-1, 10:20, ::2])
    volume.close()


_parts = st.one_of(
    st.integers(-3, 2), st.builds(slice, *[st.none() | st.integers(-6, 6)] * 2, st.just(None))
)


@given(index=st.lists(_parts, max_size=3).map(tuple), dots=st.booleans())
def test_basic_indices_select_what_numpy_selects(tmp_path_factory, index, dots):
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, array)
    volume = read_volume(path, axes="CYXZ", channel=1)
    expected = array[1].transpose(2, 0, 1)
    index = (..., *index) if dots else index
    try:
        wanted = expected[index]
    except IndexError:
        with pytest.raises(IndexError):
            volume[index]
    else:
        np.testing.assert_array_equal(volume[index], wanted)


@pytest.mark.parametrize("index", [[0, 1], 1.5, "a", slice(None, None, -1), (0, 0, 0, 0)])
def test_other_indices_are_refused_with_the_remedy(tmp_path, index):
    np.save(tmp_path / "a.npy", STACK)
    with pytest.raises(IndexError, match=r"allowed|does not fit"):
        read_volume(tmp_path / "a.npy")[index]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_plane_is_read_without_the_stack(tmp_path, compression):
    planes, side = 64, 512
    path = tmp_path / "deep.tif"
    with tifffile.TiffWriter(path) as file:
        for _ in range(planes):
            file.write(np.zeros((side, side), np.uint8), contiguous=False, compression=compression)
    volume = read_volume(path)
    tracemalloc.start()
    volume[7]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    volume.close()
    assert peak < planes * side * side / 4


@pytest.mark.parametrize("kwargs", [{}, {"ome": True}, {"imagej": True}, {"compression": "zlib"}])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.97])
def test_a_file_that_was_cut_short_is_refused_and_never_read_as_what_is_left_of_it(
    tmp_path, caplog, kwargs, share
):
    """The error names the file and the remedy, and nothing else is said."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 99, (9, 64, 64), "u2"), **kwargs)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    # A cut through the list of pages leaves tags that make no sense.
    says = (
        rf"stack\.tif is (cut short: .* {path.stat().st_size} bytes\. C|a damaged TIFF.*; c)opy or"
    )
    with pytest.raises(ValueError, match=says):
        read_volume(path)
    assert caplog.messages == []


def test_what_tifffile_has_to_say_is_said_once_with_the_files_name(tmp_path, caplog):
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, STACK, metadata=None, description='{"shape": [2, 2]}')
    volume = read_volume(path)
    assert volume.shape[-2:] == STACK.shape[-2:]
    volume.close()
    said = [record for record in caplog.records if "shaped" in record.getMessage()]
    assert [(record.name, record.levelname) for record in said] == [("samslice.io", "WARNING")]
    assert said[0].getMessage().startswith("odd.tif: ")


def test_damaged_tags_are_an_error_that_names_the_file(tmp_path):
    """Whatever flipped bytes lead tifffile into."""
    path = tmp_path / "flipped.tif"
    tifffile.imwrite(path, np.zeros((3, 8, 8), "u2"), metadata={"axes": "ZYX"}, ome=True)
    whole = path.read_bytes()
    chance = np.random.default_rng(0)
    refused = []
    for _ in range(150):
        content = bytearray(whole)
        for at in chance.integers(0, 300, 3):
            content[at] ^= 1 << int(chance.integers(8))
        path.write_bytes(content)
        try:
            read_volume(path).close()
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert [message for message in refused if "flipped.tif" not in message] == []


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_axes_without_names_are_called_so_and_counted(tmp_path, name):
    """Four axes of which a file tells nothing need four letters."""
    array = np.zeros((2, 3, 40, 50), np.uint8)
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, array, photometric="minisblack")
    else:
        np.save(tmp_path / name, array)
    says = r"unnamed=2, unnamed=3, Y=40, X=50.*4 letters .*--axes TZYX"
    with pytest.raises(ValueError, match=says):
        read_volume(tmp_path / name)
    assert read_volume(tmp_path / name, axes="TZYX", time=0).shape == (3, 40, 50)


def test_a_missing_codec_is_named_when_the_file_is_opened(tmp_path, monkeypatch):
    Image.new("L", (50, 40)).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    # As it is where the package imagecodecs is not installed.
    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", {tifffile.COMPRESSION.NONE: None})
    with pytest.raises(ValueError, match=r"compressed with LZW.*pip install imagecodecs"):
        read_volume(tmp_path / "lzw.tif")


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_planes_keep_their_colours_last(tmp_path, planar):
    rgb = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    stored = rgb if planar == "contig" else rgb.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    volume = read_volume(tmp_path / "a.tif")
    assert volume.axes == "YXS"
    assert not volume.is_stack
    np.testing.assert_array_equal(volume[...], rgb)


def test_three_grey_columns_are_not_taken_for_colours(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 50, 3), "u1"), photometric="minisblack")
    assert read_volume(tmp_path / "a.tif").shape == (40, 50, 3)
    assert read_volume(tmp_path / "a.tif", axes="YXS").axes == "YXS"


def test_channels_and_time_points_are_chosen_by_name(tmp_path):
    data = np.random.default_rng(1).integers(0, 99, (4, 5, 2, 20, 30)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "h.tif", data, imagej=True, metadata={"axes": "TZCYX"})
    volume = read_volume(tmp_path / "h.tif", channel=1, time=2)
    np.testing.assert_array_equal(np.asarray(volume), data[2, :, 1])
    series = read_volume(tmp_path / "h.tif", channel=0, z=4)
    assert series.axes == "TYX"
    np.testing.assert_array_equal(series[3], data[3, 4, 0])
    with pytest.raises(ValueError, match=r"h.tif has the axes T=4, Z=5, C=2, Y=20, X=30"):
        read_volume(tmp_path / "h.tif")


def test_ome_tiff_tells_the_voxel_size_in_micrometres(tmp_path):
    metadata = {"axes": "ZYX", "PhysicalSizeZ": 2.0, "PhysicalSizeY": 500, "PhysicalSizeX": 0.25}
    metadata |= {"PhysicalSizeYUnit": "nm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, ome=True, metadata=metadata)
    volume = read_volume(tmp_path / "a.ome.tif")
    assert volume.spacing == pytest.approx((2.0, 0.5, 0.25))
    assert volume.unit == "µm"


@pytest.mark.parametrize("unit", ["um", "\\u00B5m", "micron"])
def test_imagej_tells_the_voxel_size(tmp_path, unit):
    tifffile.imwrite(
        tmp_path / "a.tif",
        STACK,
        imagej=True,
        resolution=(1 / 0.25, 1 / 0.5),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": unit},
    )
    volume = read_volume(tmp_path / "a.tif")
    assert volume.spacing == pytest.approx((2.0, 0.5, 0.25))
    assert volume.unit == "µm"


@pytest.mark.parametrize("metadata", [{"axes": "ZYX"}, {"axes": "ZYX", "unit": "pixel"}])
def test_a_voxel_size_that_is_not_told_is_not_made_up(tmp_path, metadata):
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, metadata=metadata)
    volume = read_volume(tmp_path / "a.tif")
    assert volume.spacing is None
    assert volume.unit is None


def test_a_time_series_has_no_spacing_along_its_planes(tmp_path):
    metadata = {"axes": "TYX", "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, ome=True, metadata=metadata)
    assert read_volume(tmp_path / "a.ome.tif").spacing is None


def test_coarser_levels_have_larger_pixels(tmp_path):
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    metadata = {"axes": "YX", "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25}
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as file:
        file.write(image, subifds=1, metadata=metadata)
        file.write(image[::2, ::2], subfiletype=1)
    coarse = read_volume(tmp_path / "p.ome.tif", level=1)
    np.testing.assert_array_equal(coarse[...], image[::2, ::2])
    assert coarse.spacing == pytest.approx((1.0, 0.5))
    with pytest.raises(ValueError, match=r"level is 2; allowed for p.ome.tif is 0 to 1"):
        read_volume(tmp_path / "p.ome.tif", level=2)
    with pytest.raises(ValueError, match=r"series is 1; allowed for p.ome.tif is 0 to 0"):
        read_volume(tmp_path / "p.ome.tif", series=1)


def _ome_zarr(path, version):
    data = np.random.default_rng(2).integers(0, 99, (2, 6, 20, 30)).astype(np.uint16)
    group = zarr.create_group(str(path), zarr_format=2 if version == "0.4" else 3)
    datasets = []
    for level, array in enumerate((data, data[..., ::2, ::2])):
        made = group.create_array(str(level), shape=array.shape, dtype=array.dtype)
        made[...] = array
        scale = [1.0, 2.0, 0.5 * 2**level, 0.25 * 2**level]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    multiscales = [{"version": version, "axes": axes, "datasets": datasets}]
    if version == "0.4":
        group.attrs["multiscales"] = multiscales
    else:
        group.attrs["ome"] = {"version": version, "multiscales": multiscales}
    return data


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_gives_its_levels_axes_and_voxel_size(tmp_path, version):
    data = _ome_zarr(tmp_path / "a.zarr", version)
    volume = read_volume(tmp_path / "a.zarr", channel=1)
    assert (volume.axes, volume.unit) == ("ZYX", "µm")
    assert volume.spacing == pytest.approx((2.0, 0.5, 0.25))
    np.testing.assert_array_equal(volume[2], data[1, 2])
    coarse = read_volume(tmp_path / "a.zarr", channel=0, level=1)
    assert coarse.spacing == pytest.approx((2.0, 1.0, 0.5))
    np.testing.assert_array_equal(np.asarray(coarse), data[0, :, ::2, ::2])
    with pytest.raises(ValueError, match="level is 5; allowed"):
        read_volume(tmp_path / "a.zarr", channel=0, level=5)
    with pytest.raises(ValueError, match="series is 1; allowed"):
        read_volume(tmp_path / "a.zarr", channel=0, series=1)


def test_a_converters_group_of_images_is_entered_by_series(tmp_path):
    zarr.create_group(str(tmp_path / "a.zarr"), attributes={"bioformats2raw.layout": 3})
    data = _ome_zarr(tmp_path / "a.zarr" / "0", "0.5")
    volume = read_volume(tmp_path / "a.zarr", channel=1)
    np.testing.assert_array_equal(volume[0], data[1, 0])
    with pytest.raises(ValueError, match="series is 3; allowed"):
        read_volume(tmp_path / "a.zarr", channel=1, series=3)


def test_zarr_arrays_are_read_with_or_without_names_of_dimensions(tmp_path):
    for name, dims in (("plain", None), ("named", ("x", "y", "z"))):
        array = zarr.create_array(
            str(tmp_path / f"{name}.zarr"), shape=(5, 40, 50), dtype="u2", dimension_names=dims
        )
        array[...] = STACK
    np.testing.assert_array_equal(np.asarray(read_volume(tmp_path / "plain.zarr")), STACK)
    named = read_volume(tmp_path / "named.zarr")
    assert named.axes == "ZYX"
    np.testing.assert_array_equal(np.asarray(named), STACK.transpose(2, 1, 0))


def test_a_group_with_one_array_is_that_array_and_with_more_an_error(tmp_path):
    group = zarr.create_group(str(tmp_path / "g.zarr"))
    group.create_array("first", shape=(5, 40, 50), dtype="u2")[...] = STACK
    np.testing.assert_array_equal(read_volume(tmp_path / "g.zarr")[1], STACK[1])
    group.create_array("second", shape=(5, 40, 50), dtype="u2")
    with pytest.raises(ValueError, match=r"holds 2 arrays \(first, second\)"):
        read_volume(tmp_path / "g.zarr")
    assert read_volume(tmp_path / "g.zarr" / "second").shape == STACK.shape


@pytest.mark.parametrize(("mode", "axes"), [("L", "YX"), ("RGB", "YXS"), ("P", "YXS"), ("1", "YX")])
def test_pictures_are_grey_or_coloured(tmp_path, mode, axes):
    Image.new(mode, (50, 40)).save(tmp_path / "a.png")
    volume = read_volume(tmp_path / "a.png")
    assert volume.axes == axes
    assert volume.shape[:2] == (40, 50)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tif", b"no tiff at all", "a.tif is not a readable TIFF"),
        ("a.czi", b"", "not a kind of file that can be read; allowed are"),
        ("a.npy", None, "no such file"),
        ("a.npy", b"", "a.npy is not a readable .npy file"),
        ("a.npy", b"no array at all", "a.npy is not a readable .npy file"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_can(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, OSError), match=says):
        read_volume(tmp_path / name)


def test_a_folder_that_is_no_zarr_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a zarr array or group"):
        read_volume(tmp_path)


def test_complex_and_empty_images_are_refused(tmp_path):
    np.save(tmp_path / "c.npy", np.zeros((4, 4), complex))
    np.save(tmp_path / "e.npy", np.zeros((0, 4, 4)))
    with pytest.raises(ValueError, match="dtype complex128"):
        read_volume(tmp_path / "c.npy")
    with pytest.raises(ValueError, match="has no pixels"):
        read_volume(tmp_path / "e.npy")
