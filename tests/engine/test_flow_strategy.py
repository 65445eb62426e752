"""The default strategy: what it remembers, what it stops at, and that it finds real nuclei."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from samslice.engine.backend import SamModel, load_model
from samslice.engine.flow_strategy import FlowStrategy
from samslice.engine.normalize import fit_stack
from samslice.engine.options import PropagateOptions
from samslice.engine.predictor import Predictor
from samslice.engine.propagate import propagate
from samslice.engine.schedule import Leg
from samslice.engine.strategy import Plane, Proposal
from samslice.engine.types import Prompt, Seed
from samslice.model.build import build
from samslice.model.config import VARIANTS

PLANE = Plane(4, np.zeros((40, 40)))
LEG = Leg(object_id=1, anchor=4, direction=1, last=9, closed=False)
CLOSED = Leg(object_id=1, anchor=4, direction=1, last=9, closed=True)


@pytest.fixture(scope="module")
def predictor():
    return Predictor(SamModel(build(VARIANTS["tiny"]), name="tiny", fingerprint="t", device="cpu"))


def strategy_at_anchor(predictor, region=(10, 10, 20, 20), **options):
    """A strategy that has just been shown a square on plane 4."""
    volume = np.random.default_rng(0).integers(0, 255, (6, 40, 40), dtype=np.uint8)
    strategy = FlowStrategy(predictor, PropagateOptions(**options), fit_stack(volume))
    mask = np.zeros((40, 40), bool)
    mask[region[0] : region[2], region[1] : region[3]] = True
    (proposal,) = strategy.propose(Plane(4, volume[4]), [Seed(1, 4, mask=mask)], [])
    inside = proposal.logits > 0
    assert inside.all()
    assert proposal.region == region
    assert strategy.settle_anchor(PLANE, proposal, inside).status == "anchor"
    strategy.propose(Plane(5, volume[5]), [], [LEG])
    return strategy


def judge(strategy, region, leg=LEG, predicted_iou=0.95, is_known=False):
    mask = np.ones((region[2] - region[0], region[3] - region[1]), bool)
    logits = np.where(mask, 3.0, -3.0).astype(np.float32)
    proposal = Proposal(1, region, logits, predicted_iou, is_known)
    return strategy.settle(Plane(5, PLANE.pixels), leg, proposal, mask)


def test_a_steady_object_goes_on(predictor):
    strategy = strategy_at_anchor(predictor)
    confirm(strategy, 1.0)
    verdict = judge(strategy, (10, 10, 20, 20))
    assert (verdict.status, verdict.reason) == ("ok", "")
    assert verdict.overlap == pytest.approx(1)
    assert verdict.score > 0.9


@pytest.mark.parametrize(
    ("region", "predicted_iou", "reason"),
    [
        ((16, 16, 26, 26), 0.95, "overlap"),
        ((5, 5, 25, 25), 0.95, "grew"),
        ((10, 10, 20, 20), 0.2, "predicted IoU"),
    ],
)
def test_an_object_ends_with_the_reason(predictor, region, predicted_iou, reason):
    verdict = judge(strategy_at_anchor(predictor), region, predicted_iou=predicted_iou)
    assert verdict.status == "ended"
    assert reason in verdict.reason


def test_an_object_that_the_model_does_not_find_ends(predictor):
    strategy = strategy_at_anchor(predictor)
    verdict = strategy.settle(PLANE, LEG, Proposal.nothing(1), np.zeros((0, 0), bool))
    assert (verdict.status, verdict.reason) == ("ended", "nothing found")


def test_an_object_that_others_cover_goes_on_beneath_them_for_three_planes(predictor):
    strategy = strategy_at_anchor(predictor)
    proposal = Proposal(1, (10, 10, 20, 20), np.full((10, 10), 2, np.float32), 0.9)
    statuses = []
    for index in (5, 6, 7, 8):
        verdict = strategy.settle(
            Plane(index, PLANE.pixels), LEG, proposal, np.zeros((10, 10), bool)
        )
        statuses.append((verdict.status, verdict.reason))
    assert statuses[:3] == [("doubtful", "mostly taken by a neighbour")] * 3
    assert statuses[3] == ("ended", "lost to a neighbour")


def test_an_object_that_comes_out_from_beneath_others_is_where_it_was(predictor):
    """What it claimed is remembered, not the little that was left of it."""
    strategy = strategy_at_anchor(predictor)
    proposal = Proposal(1, (10, 10, 20, 20), np.full((10, 10), 2, np.float32), 0.9)
    strategy.settle(Plane(5, PLANE.pixels), LEG, proposal, np.zeros((10, 10), bool))
    confirm(strategy, 1.0)
    verdict = strategy.settle(Plane(6, PLANE.pixels), LEG, proposal, np.ones((10, 10), bool))
    assert (verdict.status, verdict.overlap) == ("ok", pytest.approx(1))


def test_an_object_that_stood_out_ends_where_it_does_not(predictor):
    """The model goes on seeing it in noise; the pixels do not."""
    volume = np.random.default_rng(0).normal(50, 3, (6, 40, 40))
    volume[4:, 10:20, 10:20] += 100
    volume[5] -= 70 * (volume[5] > 100)
    mask = volume[4] > 100
    for faded, status in [(0.4, "ended"), (0.2, "ok"), (0.0, "ok")]:
        options = PropagateOptions(min_contrast=faded)
        strategy = FlowStrategy(predictor, options, fit_stack(volume))
        (proposal,) = strategy.propose(Plane(4, volume[4]), [Seed(1, 4, mask=mask)], [])
        strategy.settle_anchor(Plane(4, volume[4]), proposal, proposal.logits > 0)
        strategy.propose(Plane(5, volume[5]), [], [LEG])
        confirm(strategy, 1.0)
        found = Proposal(1, (10, 10, 20, 20), np.full((10, 10), 3, np.float32), 0.9)
        verdict = strategy.settle(Plane(5, volume[5]), LEG, found, np.ones((10, 10), bool))
        assert verdict.status == status
        assert ("stands out" in verdict.reason) == (status == "ended")


def confirm(strategy, agreement, leg=LEG):
    """Let the model agree this well with the moved object."""
    moved = strategy._moved[leg]
    strategy._moved[leg] = replace(moved, agreement=agreement, predicted_iou=0.95)


def test_an_object_ends_where_the_model_confirms_it_much_less_than_near_its_anchor(predictor):
    """What is usual differs from object to object, so no fixed number would do.

    Less is asked of an object that did not stand out from its surroundings, as this one.
    """
    for near, later, status in [(0.9, 0.2, "ended"), (0.25, 0.2, "doubtful"), (0.9, 0.8, "ok")]:
        strategy = strategy_at_anchor(predictor)
        for index, agreement in [(5, near), (6, near), (7, later)]:
            strategy.propose(Plane(index, PLANE.pixels), [], [LEG])
            confirm(strategy, agreement)
            mask = np.ones((10, 10), bool)
            found = Proposal(1, (10, 10, 20, 20), np.full((10, 10), 3, np.float32), 0.95)
            verdict = strategy.settle(Plane(index, PLANE.pixels), LEG, found, mask)
        assert verdict.status == status
        assert ("near its anchor" in verdict.reason) == (status == "ended")


def test_between_two_anchors_an_object_is_doubtful_but_does_not_end(predictor):
    strategy = strategy_at_anchor(predictor)
    strategy.propose(PLANE, [], [CLOSED])
    verdict = judge(strategy, (16, 16, 26, 26), leg=CLOSED)
    assert verdict.status == "doubtful"
    assert "overlap" in verdict.reason


def test_where_an_earlier_run_found_the_same_an_object_does_not_end(predictor):
    verdict = judge(strategy_at_anchor(predictor), (16, 16, 26, 26), is_known=True)
    assert verdict.status == "doubtful"
    assert "overlap" in verdict.reason


def test_an_object_ends_where_its_confidence_is_below_what_is_asked(predictor):
    for asked, status in [(0.0, "doubtful"), (0.4, "ended")]:
        strategy = strategy_at_anchor(predictor, min_confidence=asked)
        confirm(strategy, 0.5)
        verdict = judge(strategy, (10, 10, 20, 20), predicted_iou=0.8)
        assert verdict.score < 0.4
        assert (verdict.status, verdict.reason) == (status, "low confidence")


def test_low_confidence_is_doubtful(predictor):
    strategy = strategy_at_anchor(predictor)
    confirm(strategy, 1.0)
    verdict = judge(strategy, (10, 10, 20, 20), predicted_iou=0.72)
    assert (verdict.status, verdict.reason) == ("doubtful", "low confidence")


def test_the_tiny_model_runs_a_stack_end_to_end(predictor):
    """Any weights give consistent output: every label comes from a row of the table."""
    volume = np.random.default_rng(3).integers(0, 255, (6, 40, 50), dtype=np.uint8)
    seeds = [
        Seed(1, 2, prompt=Prompt(box=(5, 5, 20, 20))),
        Seed(2, 3, prompt=Prompt(points=[(30, 30)])),
        Seed(2, 5, mask=volume[5] > 250),
    ]
    result = propagate(predictor, volume, seeds)
    rows = result.table[result.table.area > 0]
    for object_id in (1, 2):
        counts = (result.labels == object_id).sum(axis=(1, 2))
        expected = rows[rows.object == object_id].set_index("plane").area
        assert counts[expected.index].tolist() == expected.tolist()
        assert counts.sum() == expected.sum()


@pytest.mark.weights
@pytest.mark.slow
def test_real_nuclei_from_one_box_each(mobile_sam_path, shared_dir):
    """Embryo nuclei at 8 cells, from the box on the middle plane; docs/benchmarks.md has 0.73."""
    folder = shared_dir / "data" / "qcanet_mouse_embryo_nuclei"
    volume = tifffile.imread(folder / "8cell_image.tif")
    truth = tifffile.imread(folder / "8cell_labels.tif")
    seeds = []
    for object_id in np.unique(truth)[1:]:
        planes, rows, cols = np.nonzero(truth == object_id)
        middle = int(np.median(planes))
        here = planes == middle
        box = (rows[here].min(), cols[here].min(), rows[here].max() + 1, cols[here].max() + 1)
        seeds.append(Seed(int(object_id), middle, prompt=Prompt(box=box)))
    predictor = Predictor(load_model(mobile_sam_path, device="cpu"))
    labels = propagate(predictor, volume, seeds).labels
    ious = []
    for seed in seeds:
        ours, theirs = labels == seed.object_id, truth == seed.object_id
        ious.append((ours & theirs).sum() / (ours | theirs).sum())
    assert np.mean(ious) > 0.58
    assert sum(iou > 0.5 for iou in ious) >= 6
