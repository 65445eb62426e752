"""The command line: ``samslice segment | propagate | weights | demo | info``."""

from samslice.cli.app import main

__all__ = ["main"]
