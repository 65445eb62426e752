"""Planes and prompts in, masks and labels out: numpy arrays on both sides.

Importing this package imports none of its modules; torch comes with `backend`.
"""
