"""One file from one URL, verified, under its final name or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from samslice.weights.files import install, mismatch, partial_file
from samslice.weights.meter import Meter, Progress

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20

# urllib3 puts the representation of its connection before what went wrong.
_CONNECTION = re.compile(r"^(<[^>]*>|\w+\([^)]*\)): ")


def download_url(
    url: str,
    destination: Path,
    *,
    expected: str,
    size: int | None = None,
    progress: Progress = True,
) -> Path:
    """Download a file, verify it and give it its final name.

    Parameters
    ----------
    url : str
        An http or https address.
    destination : Path
        The final file; replaced in one step once the download is verified.
    expected : str
        What it must hash to, ``"sha256:<hex>"`` or ``"xxh128:<hex>"``.
    size : int, optional
        Expected size in bytes.
    progress : bool or callable, optional
        See `samslice.weights.meter.Progress`.

    Returns
    -------
    Path
        `destination`.

    Raises
    ------
    OSError
        If the server cannot be reached, does not deliver, or delivers other
        bytes. The message is one sentence.
    """
    import pooch
    import requests

    host = urlsplit(url).hostname
    with partial_file(destination) as part:
        with Meter(progress, f"{destination.name} from {host}", size) as meter:
            fetch = pooch.HTTPDownloader(
                progressbar=meter,
                chunk_size=_CHUNK_BYTES,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                headers={"Accept-Encoding": "identity"},
            )
            try:
                fetch(url, str(part), None)
            except requests.RequestException as error:
                raise OSError(_reason(error)) from error
        wrong = mismatch(part, expected, size)
        if wrong is not None:
            raise OSError(
                f"the server sent another file: {wrong}. "
                "A proxy or a log-in page may have answered in its place."
            )
        return install(part, destination, expected)


def _reason(error: OSError) -> str:
    """Say in one sentence what requests wraps several times."""
    import requests

    response = getattr(error, "response", None)
    if isinstance(error, requests.HTTPError) and response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    if isinstance(error, requests.ReadTimeout):
        return f"the server sent nothing for {READ_SECONDS:.0f} s"
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    # "Connection broken" carries its cause a second time, as a further argument.
    text = inner.args[0] if len(getattr(inner, "args", ())) > 1 else inner
    return _CONNECTION.sub("", str(text))
