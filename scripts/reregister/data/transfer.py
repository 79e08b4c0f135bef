"""One file from one address over HTTP, taken up again where the connection broke."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests
import urllib3

TRIES = 4
PAUSE = 1.0  # seconds before the second try, times two before the third, and so on
SLOWEST = 1024  # bytes per second, averaged over one time-out; a trickle would otherwise never time out
_BLOCK = 1 << 16
_PROGRESS = 1 << 28  # bytes between two lines of progress
_ARCHIVE_MAGIC = (b"\x1f\x8b", b"PK\x03\x04")
_HEADERS = {
    # One host answers the default agents of scripts with a 403 page.
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Accept": "*/*",
    # The bytes as they lie on the server: anything else breaks both Range and checksum.
    "Accept-Encoding": "identity",
}


class MirrorFailed(Exception):
    """This address does not give the file; the message is a verb phrase, "answered HTTP 403"."""


class _Dropped(MirrorFailed):
    """The same, but another try may help."""


@dataclass
class Transfer:
    """The state between two tries at one address.

    part: file that grows. expected: published bytes or None. guarded: whether a published sum would show a file that
    changed between two tries. timeout: seconds to connect, and seconds without data. report: takes lines of progress.
    """

    url: str
    part: Path
    expected: int | None
    guarded: bool
    timeout: float
    report: Callable[[str], object]
    _validator: str | None = field(default=None, init=False)

    def run(self) -> None:
        """Fill `part`, trying TRIES times. Raises MirrorFailed, or OSError where `part` cannot be written."""
        self._restart()
        for attempt in range(1, TRIES + 1):
            try:
                return self._attempt()
            except _Dropped as error:
                if attempt == TRIES:
                    raise MirrorFailed(f"{error}, {TRIES} times") from error
                self.report(f"{self.url} {error}; try {attempt + 1} of {TRIES} from byte {self._offset()}")
                time.sleep(PAUSE * attempt)

    def _attempt(self) -> None:
        try:
            with requests.get(
                self.url, headers=self._request_headers(), stream=True, timeout=(self.timeout, self.timeout)
            ) as response:
                self._receive(response)
        except (requests.ConnectTimeout, requests.ReadTimeout, urllib3.exceptions.TimeoutError) as error:
            raise _Dropped(f"sent nothing for {self.timeout:g} s") from error
        except requests.exceptions.SSLError as error:
            raise MirrorFailed("offers no TLS connection that can be verified") from error
        except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
            what = "dropped the connection" if self._offset() else "cannot be reached"
            raise _Dropped(what) from error
        except requests.RequestException as error:
            raise MirrorFailed(f"cannot be used ({error})") from error

    def _request_headers(self) -> dict[str, str]:
        # Without a validator and without a published sum, a file replaced meanwhile would be glued to the old half.
        if self._offset() and not (self._validator or self.guarded):
            self._restart()
        if not self._offset():
            return _HEADERS
        resume = {"Range": f"bytes={self._offset()}-"}
        return _HEADERS | resume | ({"If-Range": self._validator} if self._validator else {})

    def _receive(self, response: requests.Response) -> None:
        offset = self._offset()
        if response.status_code == 206 and _range_start(response) == offset:
            start = offset
        elif response.status_code in (206, 416):
            self._restart()
            raise _Dropped(f"answered a request for the rest with HTTP {response.status_code} and the wrong range")
        elif response.status_code == 200:
            start = 0
        else:
            kind = _Dropped if response.status_code == 429 or response.status_code >= 500 else MirrorFailed
            raise kind(f"answered HTTP {response.status_code} {response.reason or ''}".strip())
        if start == 0:
            self._restart()
            self._validator = _validator(response)
        length = response.headers.get("Content-Length", "")
        announced = start + int(length) if length.isdigit() else None
        self._write(response, announced)

    def _write(self, response: requests.Response, announced: int | None) -> None:
        total = self.expected if announced is None else announced
        html = "text/html" in response.headers.get("Content-Type", "").lower()
        size, window, since = self._offset(), 0, time.monotonic()
        with open(self.part, "ab") as out:
            # read1 hands over what has come; read would wait for a full block and let a trickle pass unnoticed.
            while block := response.raw.read1(_BLOCK, decode_content=False):
                if html and size == 0 and not block.startswith(_ARCHIVE_MAGIC):
                    raise MirrorFailed(f"gave an HTML page instead of the file, often a login page ({response.url})")
                out.write(block)
                if size // _PROGRESS < (size + len(block)) // _PROGRESS:
                    self.report(f"{self.url}: {size + len(block)} of {total or 'unknown'} bytes")
                size, window = size + len(block), window + len(block)
                if self.expected is not None and size > self.expected:
                    return  # longer than published: the check of the file says so, an endless answer would not end
                if (now := time.monotonic()) - since > self.timeout:
                    if window < SLOWEST * (now - since):
                        out.flush()
                        raise _Dropped(f"sent less than {SLOWEST} bytes per second for {self.timeout:g} s")
                    window, since = 0, now
        if total is not None and size < total:
            raise _Dropped(f"ended after {size} of {total} bytes")

    def _offset(self) -> int:
        return self.part.stat().st_size

    def _restart(self) -> None:
        self.part.write_bytes(b"")
        self._validator = None


def _range_start(response: requests.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _validator(response: requests.Response) -> str | None:
    """What If-Range may carry: a strong entity tag, else the date of change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")
