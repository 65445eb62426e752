"""Hundreds of random actions in a real window, and the laws that no order of them may break.

The actions come from a seeded generator, so a failure names what to run again; threads
have their own pace, so the report also lists what was done last.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari comes with the napari extra")
pytest.importorskip("qtpy", reason="qtpy comes with the napari extra")


from soak_person import SHAPE, WAIT_S, Person, pump

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.gui, pytest.mark.slow]

N_ACTIONS = 500
SETTLE_EVERY = 25
SHOWN_ON_FAILURE = 30

# What a person is told for doing something at the wrong place: any other warning is a bug.
REFUSALS = re.compile(
    r"is outside; click inside the image of|lies outside the (image|plane) of"
    r"|does not lie in the plane that is shown|holds no pixel of the image"
)


class Slow:
    """Encoding takes a while, each time another."""

    def __init__(self, model: Any, seed: int) -> None:
        self._model = model
        self._rng = np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, pictures: Any, *, cancel: Any = None) -> Any:
        time.sleep(self._rng.choice([0.0, 0.002, 0.02]))
        return self._model.encode(pictures, cancel=cancel)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Errors that somebody logged instead of raising: vispy does with those of a mouse event."""
    records: list[str] = []

    class Listen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(f"{record.name}: {self.format(record)}")

    handler = Listen(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("", "samslice", "vispy", "napari")]
    for logger in loggers:
        logger.addHandler(handler)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)


# vispy's, of a path whose ends fall together, when it is seen as a volume.
@pytest.mark.filterwarnings(r"ignore:invalid value encountered:RuntimeWarning:vispy\.visuals\.tube")
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_that_people_do_breaks_the_laws(
    seed: int, make_napari_viewer: Any, discs: Any, logged: list[str], request: Any
) -> None:
    """No exception, no unexpected message, no change to finished objects that nobody asked for.

    That no thread is left behind is a law of every test here; see ``tests/conftest.py``.
    """
    import samslice.plugin
    from samslice.engine.cache import EmbeddingCache

    viewer = make_napari_viewer(show=True)
    viewer.window.resize(560, 420)
    data = np.random.default_rng(seed).integers(0, 200, SHAPE).astype(np.uint8)
    viewer.add_image(255 - data, name="two")
    image = viewer.add_image(data, name="one")
    sam = samslice.plugin.open_in(viewer, image, model=Slow(discs, seed), cache=EmbeddingCache())
    request.addfinalizer(sam.close)
    said: list[tuple[str, str]] = []
    sam.message.connect(lambda level, text: said.append((level, text)))
    assert sam.wait(WAIT_S)
    viewer.reset_view()
    pump(0.1)
    person = Person(viewer, sam, seed)
    try:
        for n in range(N_ACTIONS):
            person.step()
            if n % SETTLE_EVERY == SETTLE_EVERY - 1:
                person.settle()
            wrong = [t for level, t in said if level != "info" and not REFUSALS.search(t)]
            assert not wrong, wrong
            assert not logged, logged
    except Exception as error:
        latest = "\n".join(person.done[-SHOWN_ON_FAILURE:])
        raise AssertionError(f"seed {seed}: {error}\nThe last actions were\n{latest}") from error
