"""Interactive segmentation without a GUI: prompts, pending and finished objects, undo.

Importing this package imports none of its modules; a `Session` is found in
`samslice.session.session`, or as ``samslice.Session``.
"""
