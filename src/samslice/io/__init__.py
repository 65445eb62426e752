"""Images, labels, prompts and tables from and to files."""

from samslice.io.labels import LabelsFile, check_output, open_labels, write_labels
from samslice.io.prompts import read_prompts, write_prompts
from samslice.io.tables import write_table
from samslice.io.volume import Volume, read_volume

__all__ = [
    "LabelsFile",
    "Volume",
    "check_output",
    "open_labels",
    "read_prompts",
    "read_volume",
    "write_labels",
    "write_prompts",
    "write_table",
]
