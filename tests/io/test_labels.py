"""Laws of writing labels: complete or absent, never over something else, flat in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tifffile
import zarr

from samslice.io import check_output, labels, open_labels, read_volume, write_labels

STACK = np.random.default_rng(0).integers(0, 300, (4, 30, 40)).astype(np.uint16)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "a.ome.tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_labels_and_voxel_size_come_back_as_they_were(tmp_path, name, dtype):
    wanted = STACK.astype(dtype)
    path = write_labels(tmp_path / name, wanted, spacing=(2.0, 0.5, 0.25), unit="µm")
    assert path == tmp_path / name
    volume = read_volume(path)
    assert volume.axes == "ZYX"
    assert volume.dtype == dtype
    assert volume.spacing == pytest.approx((2.0, 0.5, 0.25))
    assert volume.unit == "µm"
    np.testing.assert_array_equal(np.asarray(volume), wanted)
    volume.close()
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_spacing_without_a_unit_comes_back_without_one(tmp_path, name):
    """Although a size without a unit means micrometres in OME-TIFF."""
    write_labels(tmp_path / name, STACK, spacing=(2000, 500, 500))
    volume = read_volume(tmp_path / name)
    assert volume.spacing == pytest.approx((2000, 500, 500))
    assert volume.unit is None
    volume.close()


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_single_plane_and_a_time_series_keep_their_axes(tmp_path, name):
    write_labels(tmp_path / name, STACK[0])
    assert read_volume(tmp_path / name).axes == "YX"
    write_labels(tmp_path / name, STACK, axis="T", overwrite=True)
    volume = read_volume(tmp_path / name)
    assert volume.axes == "TYX"
    volume.close()


def test_zarr_has_one_chunk_per_plane_in_format_3(tmp_path):
    write_labels(tmp_path / "a.zarr", STACK)
    array = zarr.open_array(str(tmp_path / "a.zarr"), mode="r")
    assert array.chunks == (1, 30, 40)
    assert array.metadata.zarr_format == 3


def test_tiff_is_compressed_ome_tiff(tmp_path):
    empty = np.zeros((4, 300, 400), np.uint16)
    path = write_labels(tmp_path / "a.tif", empty)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
    assert path.stat().st_size < empty.nbytes / 10


def test_tiff_grows_beyond_four_gigabytes_where_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(labels, "_BIG", STACK.nbytes - 1)
    write_labels(tmp_path / "a.tif", STACK)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), STACK)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_nothing_appears_under_the_name_before_the_commit(tmp_path, name):
    with open_labels(tmp_path / name, STACK.shape, STACK.dtype) as file:
        file.array[1] = STACK[1]
        assert not (tmp_path / name).exists()
    assert list(tmp_path.iterdir()) == []  # what was not committed is gone


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_result_is_replaced_only_on_request_and_only_when_complete(tmp_path, name):
    write_labels(tmp_path / name, STACK)
    with pytest.raises(FileExistsError, match=rf"{name} exists.*--force"):
        open_labels(tmp_path / name, STACK.shape, STACK.dtype)
    with open_labels(tmp_path / name, STACK.shape, STACK.dtype, overwrite=True) as file:
        file.array[...] = STACK + 1
        np.testing.assert_array_equal(np.asarray(read_volume(tmp_path / name)), STACK)
        file.commit()
    np.testing.assert_array_equal(np.asarray(read_volume(tmp_path / name)), STACK + 1)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_what_appeared_meanwhile_is_not_overwritten(tmp_path, name):
    with open_labels(tmp_path / name, STACK.shape, STACK.dtype) as file:
        write_labels(tmp_path / name, STACK)
        with pytest.raises(FileExistsError):
            file.commit()
    np.testing.assert_array_equal(np.asarray(read_volume(tmp_path / name)), STACK)


def test_a_part_can_be_committed_next_to_a_result_that_stays(tmp_path):
    write_labels(tmp_path / "a.tif", STACK)
    with open_labels(tmp_path / "a.tif", STACK.shape, STACK.dtype, overwrite=True) as file:
        file.commit(tmp_path / "a.partial.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), STACK)
    assert not tifffile.imread(tmp_path / "a.partial.tif").any()


def test_a_folder_that_is_no_result_is_never_removed(tmp_path):
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.txt").write_text("years of work")
    (tmp_path / "mine.tif").mkdir()
    for name in ("mine.zarr", "mine.tif"):
        with pytest.raises(FileExistsError, match="is no"):
            check_output(tmp_path / name, overwrite=True)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("a.png", ValueError, r"ends in '.png'; allowed are .tif, .tiff, .zarr"),
        ("a", ValueError, "ends in 'nothing'"),
        ("none/a.tif", FileNotFoundError, "does not exist; make it first"),
    ],
)
def test_a_place_that_cannot_hold_the_result_is_refused_early(tmp_path, name, error, says):
    with pytest.raises(error, match=says):
        check_output(tmp_path / name)


@pytest.mark.parametrize(
    ("shape", "dtype", "spacing"),
    [((3,), "u1", None), ((3, 4, 5), "i4", None), ((3, 4, 5), "u1", (1.0, 1.0))],
)
def test_what_is_not_labels_is_refused(tmp_path, shape, dtype, spacing):
    with pytest.raises(ValueError, match="allowed"):
        open_labels(tmp_path / "a.tif", shape, dtype, spacing=spacing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_memory_does_not_grow_with_the_planes(tmp_path, name, monkeypatch):
    # As on a machine with many cores, where tifffile would read ahead for its threads.
    monkeypatch.setattr(tifffile.TIFF, "MAXWORKERS", 8)

    def peak(planes):
        tracemalloc.start()
        with open_labels(tmp_path / f"{planes}{name}", (planes, 512, 512), np.uint16) as file:
            for index in range(planes):
                file.array[index, 10:200, 20:300] = index + 1
            file.commit()
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1)  # imports and pools
    plane = 512 * 512 * 2
    assert peak(48) - peak(4) < plane
