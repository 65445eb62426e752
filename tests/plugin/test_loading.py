"""What is told while a model is found, fetched and read."""

from __future__ import annotations

import pytest

pytest.importorskip("napari", reason="napari comes with the napari extra")


def test_missing_weights_are_told_with_what_helps_before_torch_is_imported(
    viewer_model, monkeypatch, tmp_path
):
    """Torch takes seconds to import: the message must not wait for it."""
    from samslice.plugin import loading
    from samslice.plugin.controller import SamController
    from samslice.weights import cache_dir

    monkeypatch.setenv("SAMSLICE_OFFLINE", "1")
    monkeypatch.delenv("SAMSLICE_WEIGHTS", raising=False)
    monkeypatch.setenv("SAMSLICE_CACHE", str(tmp_path))
    imported = []
    monkeypatch.setattr(loading, "import_module", imported.append)
    told = []
    sam = SamController(viewer_model, None, None)
    try:
        sam.message.connect(lambda level, text: told.append((level, text)))
        sam.choose_model("mobile_sam")
        assert sam.wait(10)
    finally:
        sam.close()
    assert imported == []
    [(level, text)] = [one for one in told if "mobile_sam" in one[1]]
    assert level == "error"
    first = text.splitlines()[0]
    assert "File…" in first
    assert f"mobile_sam.pt into {cache_dir()}" in first
    assert "Tried" in text
