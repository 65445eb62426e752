"""Options carry their own ranges, and name what they refuse."""

from dataclasses import fields

import pytest

from samslice.engine.options import PropagateOptions


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"direction": "up"}, "both, forward, backward"),
        ({"min_overlap": 1.5}, "from 0.0 to 1.0"),
        ({"min_overlap": "much"}, "a number"),
        ({"min_overlap": float("nan")}, "nan"),
        ({"min_area": 0}, "at least 1"),
        ({"min_area": 3.7}, "min_area is 3.7; allowed is a whole number"),
        ({"first_plane": 1.5}, "first_plane is 1.5; allowed is a whole number"),
        ({"compete": "no"}, "compete is 'no'; allowed are True and False"),
        ({"spacing": (1, 1)}, "3 numbers"),
        ({"spacing": (1, 0, 1)}, "spacing"),
        ({"first_plane": 5, "last_plane": 2}, "first_plane ≤ last_plane"),
    ],
)
def test_values_out_of_range_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        PropagateOptions(**arguments)


@pytest.mark.parametrize("item", fields(PropagateOptions), ids=lambda f: f.name)
def test_every_option_explains_itself(item):
    """The CLI and the form take their help from here."""
    assert item.metadata["help"].endswith(".")
