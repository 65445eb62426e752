"""A real stack and real weights, end to end: what ``samslice demo`` runs."""

from samslice.demo.nuclei import DemoCase, Mark, load_nuclei
from samslice.demo.run import DEFAULT_FOLDER, DemoResult, run_demo

__all__ = ["DEFAULT_FOLDER", "DemoCase", "DemoResult", "Mark", "load_nuclei", "run_demo"]
