from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from samslice.model.config import VARIANTS


@pytest.mark.parametrize("name", VARIANTS)
def test_names_and_grids_fit(name: str) -> None:
    """A variant is listed under its own name, and its grid covers the frame exactly."""
    config = VARIANTS[name]
    assert config.name == name
    assert config.grid * config.encoder.stride == config.image_size
    assert config.mask_size == 4 * config.grid
    assert config.prompt.width == config.decoder.width == config.encoder.out_channels


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h", "mobile_sam", "lite_medsam"])
def test_published_variants_have_a_grid_of_64(name: str) -> None:
    """Published checkpoints all embed a plane as 64 x 64 cells of 256 channels."""
    assert (VARIANTS[name].grid, VARIANTS[name].encoder.out_channels) == (64, 256)


def test_variants_cannot_be_changed() -> None:
    """Configurations are values: nobody can change one for everybody."""
    with pytest.raises(FrozenInstanceError):
        VARIANTS["vit_b"].image_size = 512  # type: ignore[misc]
    with pytest.raises(TypeError):
        VARIANTS["mine"] = VARIANTS["vit_b"]  # type: ignore[index]
