"""The Segment Anything Model in pure PyTorch: tensors in, tensors out.

Nothing here reads images or knows data pixels. Coordinates are already in
the model's own (x, y) input frame; :mod:`samslice.engine.coords` puts them
there. Importing a submodule imports torch; importing this package does not.
"""
