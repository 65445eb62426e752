"""``samslice weights``: which checkpoints there are, and which of them are here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samslice.cli.messages import format_table, note

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  samslice weights list
  samslice weights list --cite
  samslice weights fetch mobile_sam
  samslice weights verify

Files are looked for in the folder that SAMSLICE_WEIGHTS names, then in the cache
(SAMSLICE_CACHE, or the user's), then fetched. With SAMSLICE_OFFLINE=1 nothing is
fetched. A file is used only if it matches its hash.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "weights",
        help="list, fetch or verify checkpoints",
        description="List, fetch or verify the checkpoints that samslice knows by name.",
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list",
        help="all checkpoints, and which are on this machine",
        description="List all checkpoints, and which of them are on this machine.",
        epilog="examples:\n  samslice weights list\n  samslice weights list --cite",
    )
    listing.add_argument("--cite", action="store_true", help="add what to cite for each")
    listing.set_defaults(run=run_list)
    fetch = actions.add_parser(
        "fetch",
        help="get checkpoints onto this machine; prints where they are",
        description="Get checkpoints onto this machine, and print where they are.",
        epilog="example:\n  samslice weights fetch mobile_sam vit_b",
    )
    fetch.add_argument("names", nargs="+", metavar="NAME", help="as `samslice weights list` shows")
    fetch.add_argument("--quiet", action="store_true", help="no progress bar")
    fetch.set_defaults(run=run_fetch)
    verify = actions.add_parser(
        "verify",
        help="hash the files on this machine; status 1 if one is not what it should be",
        description="Hash the files on this machine. The exit status is 1 if one of them is not "
        "what it should be, or the one that was asked for is not there.",
        epilog="examples:\n  samslice weights verify\n  samslice weights verify mobile_sam",
    )
    verify.add_argument("name", nargs="?", metavar="NAME", help="one checkpoint; all by default")
    verify.set_defaults(run=run_verify)


def run_list(args: argparse.Namespace) -> int:
    """Print the registry with the state of each file."""
    from samslice.weights import table

    rows = table(check=False)
    shown = [
        (
            row["name"],
            row["architecture"],
            None if row["bytes"] is None else f"{int(row['bytes']) / 1e6:.0f}",
            "here" if row["state"] == "unchecked" else row["state"],
            row["licence"],
            row["description"],
        )
        for row in rows
    ]
    print(format_table(("name", "architecture", "MB", "state", "licence", "what it is"), shown))
    if args.cite:
        sources: dict[str, list[str]] = {}
        for row in rows:
            sources.setdefault(str(row["citation"]), []).append(str(row["name"]))
        for citation, names in sources.items():
            print(f"\n{', '.join(names)}:\n  {citation}")
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    """Fetch checkpoints and print their paths."""
    from samslice.weights import fetch

    for name in args.names:
        print(fetch(name, progress=not args.quiet), flush=True)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Hash files and print what was found."""
    from samslice.weights import verify

    found = verify(args.name)
    if not found:
        note("no checkpoint is on this machine; samslice weights fetch NAME gets one.")
        return 0
    print(
        format_table(
            ("name", "state", "source", "what was found"),
            [(each.name, each.state, each.source, each.detail) for each in found],
        )
    )
    return 0 if all(each.state == "verified" for each in found) else 1
