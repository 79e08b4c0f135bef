"""Fetching archives from a server on this host that behaves as real ones do, and worse."""

import errno
import gzip
import hashlib
import io
import json
import os
import random
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reregister.data import download, transfer
from reregister.data.download import cache_folder, fetch
from reregister.data.sources import check_local, looks_like_html, origin_of, require_terms
from reregister.errors import ReregisterError

Answer = Callable[["Handler"], None]
DATA = gzip.compress(random.Random(3).randbytes(200_000), mtime=0)
SUM = hashlib.sha256(DATA).hexdigest()
HTML = b"\xef\xbb\xbf\n <!DOCTYPE html><html><body>Please log in</body></html>"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers))
        answers = self.server.answers[self.path]
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is None:
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(length)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, Message]] = []
        self.closing = threading.Event()

    def url(self, *answers: Answer) -> str:
        """The address of a new file; each request takes the next answer, the last one stays."""
        path = f"/{len(self.answers)}/file"
        self.answers[path] = list(answers)
        return f"http://127.0.0.1:{self.server_port}{path}"

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.seen]


def whole(data: bytes = DATA, **headers: str) -> Answer:
    """All bytes, whatever range was asked for."""

    def answer(handler: Handler) -> None:
        handler.head(200, len(data), **headers)
        handler.wfile.write(data)

    return answer


def cut(after: int, data: bytes = DATA, chunked: bool = False, **headers: str) -> Answer:
    """The connection drops after some bytes of the whole."""

    def answer(handler: Handler) -> None:
        if chunked:
            handler.head(200, None, Transfer_Encoding="chunked", **headers)
            handler.wfile.write(f"{len(data):x}\r\n".encode())
        else:
            handler.head(200, len(data), **headers)
        handler.wfile.write(data[:after])
        handler.close_connection = True

    return answer


def rest(data: bytes = DATA, shift: int = 0, **headers: str) -> Answer:
    """The range that was asked for, or one that begins `shift` bytes later."""

    def answer(handler: Handler) -> None:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-")) + shift
        handler.head(206, len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}", **headers)
        handler.wfile.write(data[start:])

    return answer


def refuse(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.head(status, len(body), **headers)
        handler.wfile.write(body)

    return answer


def hang(handler: Handler) -> None:
    handler.server.closing.wait(20)


def stall(after: int) -> Answer:
    """Some bytes, then silence on an open connection."""

    def answer(handler: Handler) -> None:
        handler.head(200, len(DATA))
        handler.wfile.write(DATA[:after])
        handler.server.closing.wait(20)

    return answer


def trickle(handler: Handler) -> None:
    """One byte at a time, often enough that no single wait is long."""
    handler.head(200, len(DATA))
    for byte in DATA:
        if handler.server.closing.wait(0.02):
            return
        try:
            handler.wfile.write(bytes([byte]))
        except OSError:
            return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.closing.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "home" / "cache"


def entry(
    *urls: str,
    sha256: str | None = SUM,
    size: int | None = len(DATA),
    name: str = "images.gz",
    md5: str | None = None,
) -> dict[str, Any]:
    return {"name": name, "urls": list(urls), "bytes": size, "sha256": sha256, "md5": md5}


def get(file: dict[str, Any], cache: Path, timeout: float = 5.0) -> Any:
    return fetch(file, cache, dataset="mnist", timeout=timeout, report=lambda line: None)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def refused(file: dict[str, Any], cache: Path, *parts: str, timeout: float = 5.0) -> str:
    """The message of a failing fetch, after which everything lies as it did before."""
    home = cache.parent.parent
    before = tree(home)
    with pytest.raises(ReregisterError) as caught:
        get(file, cache, timeout)
    message = str(caught.value)
    for part in ("mnist", file["name"], *file["urls"], *parts):
        assert part in message
    assert "\n" not in message
    assert tree(home) == before
    return message


def test_good_file_lies_under_its_sum(server: Server, cache: Path) -> None:
    url = server.url(whole())
    fetched = get(entry(url), cache)
    assert fetched.path == cache / "sha256" / SUM[:2] / SUM / "images.gz"
    assert fetched.path.read_bytes() == DATA
    assert (fetched.bytes, fetched.sha256, fetched.url) == (len(DATA), SUM, url)
    assert files(cache) == [f"sha256/{SUM[:2]}/{SUM}/images.gz"]
    assert not (cache / "partial").exists()
    headers = server.seen[0][1]
    assert headers["User-Agent"].startswith("Mozilla/5.0")
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Range"] is None


def test_good_file_obeys_the_umask(server: Server, cache: Path) -> None:
    before = os.umask(0o022)
    try:
        path = get(entry(server.url(whole())), cache).path
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


def test_redirect_is_followed(server: Server, cache: Path) -> None:
    target = server.url(whole())
    assert get(entry(server.url(refuse(302, Location=target))), cache).path.read_bytes() == DATA


def test_content_encoding_is_left_alone(server: Server, cache: Path) -> None:
    """Servers that call a .gz file an encoding must not have it unpacked on the way."""
    fetched = get(entry(server.url(whole(Content_Encoding="gzip", Content_Type="text/plain"))), cache)
    assert fetched.path.read_bytes() == DATA


def test_archive_wrongly_called_html_is_taken(server: Server, cache: Path) -> None:
    fetched = get(entry(server.url(whole(Content_Type="text/html")), sha256=None, size=None), cache)
    assert fetched.path.read_bytes() == DATA


@pytest.mark.parametrize("chunked", [False, True])
def test_dropped_connection_is_resumed(server: Server, cache: Path, chunked: bool) -> None:
    url = server.url(cut(70_000, chunked=chunked), rest())
    assert get(entry(url), cache).path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=70000-"]


def test_dropped_twice_is_resumed_twice(server: Server, cache: Path) -> None:
    def second(handler: Handler) -> None:
        handler.head(206, len(DATA) - 1000, Content_Range=f"bytes 1000-{len(DATA) - 1}/{len(DATA)}")
        handler.wfile.write(DATA[1000:3000])
        handler.close_connection = True

    lines: list[str] = []
    url = server.url(cut(1000), second, rest())
    assert fetch(entry(url), cache, dataset="mnist", report=lines.append).path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=1000-", "bytes=3000-"]
    assert any("try 3 of 4 from byte 3000" in line for line in lines)


def test_stalled_connection_is_resumed(server: Server, cache: Path) -> None:
    assert get(entry(server.url(stall(5000), rest())), cache, timeout=0.3).path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=5000-"]


def test_end_without_announced_length_is_resumed(server: Server, cache: Path) -> None:
    def early_end(handler: Handler) -> None:
        handler.head(200, None)
        handler.wfile.write(DATA[:9000])

    assert get(entry(server.url(early_end, rest())), cache).path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=9000-"]


def test_server_ignoring_range_starts_again(server: Server, cache: Path) -> None:
    assert get(entry(server.url(cut(70_000), whole())), cache).path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=70000-"]


@pytest.mark.parametrize("answer", [refuse(416), rest(shift=10)], ids=["416", "other range"])
def test_refused_range_starts_again(server: Server, cache: Path, answer: Answer) -> None:
    assert get(entry(server.url(cut(70_000), answer, whole())), cache).path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=70000-", None]


def test_resume_is_conditional_on_the_same_file(server: Server, cache: Path) -> None:
    url = server.url(cut(70_000, ETag='"v1"', Last_Modified="Thu, 01 Jan 2009 00:00:00 GMT"), rest())
    get(entry(url, sha256=None), cache)
    assert server.seen[1][1]["If-Range"] == '"v1"'
    url = server.url(cut(70_000, ETag='W/"v1"', Last_Modified="Thu, 01 Jan 2009 00:00:00 GMT"), rest())
    get(entry(url, sha256=None, name="other.gz"), cache)
    assert server.seen[3][1]["If-Range"] == "Thu, 01 Jan 2009 00:00:00 GMT"


def test_nothing_is_glued_where_no_sum_and_no_validator_guards(server: Server, cache: Path) -> None:
    assert get(entry(server.url(cut(70_000), whole()), sha256=None), cache).path.read_bytes() == DATA
    assert server.ranges == [None, None]


def test_tries_are_limited(server: Server, cache: Path) -> None:
    refused(entry(server.url(cut(0))), cache, f"{transfer.TRIES} times")
    assert len(server.seen) == transfer.TRIES


def test_busy_server_is_asked_again(server: Server, cache: Path) -> None:
    assert get(entry(server.url(refuse(503), refuse(429), whole())), cache).path.read_bytes() == DATA
    assert len(server.seen) == 3


def test_wrong_sum(server: Server, cache: Path) -> None:
    refused(entry(server.url(whole()), sha256="0" * 64), cache, "0" * 64, SUM, "data.mnist")
    assert len(server.seen) == 1


@pytest.mark.parametrize("headers", [{}, {"Content_Type": "text/html; charset=utf-8"}])
@pytest.mark.parametrize("published", [{}, {"sha256": None}, {"sha256": None, "size": None}, {"size": 20}])
def test_html_page_with_status_200(server: Server, cache: Path, headers: dict[str, str], published: Any) -> None:
    refused(entry(server.url(whole(HTML, **headers)), **published), cache, "HTML page")
    assert len(server.seen) == 1


def test_html_content_type_alone_is_enough(server: Server, cache: Path) -> None:
    page = whole(b"You are being redirected", Content_Type="text/html")
    refused(entry(server.url(page), sha256=None, size=None, name="table.csv"), cache, "HTML page")


def test_login_page_after_redirect_is_named(server: Server, cache: Path) -> None:
    login = server.url(whole(HTML, Content_Type="text/html"))
    refused(entry(server.url(refuse(302, Location=login)), sha256=None), cache, "HTML page", login)


def test_small_403_page_then_good_mirror(server: Server, cache: Path) -> None:
    page = HTML.ljust(199)
    first, second = server.url(refuse(403, page, Content_Type="text/html")), server.url(whole())
    lines: list[str] = []
    fetched = fetch(entry(first, second), cache, dataset="mnist", report=lines.append)
    assert (fetched.url, fetched.path.read_bytes()) == (second, DATA)
    assert any(first in line and "403" in line for line in lines)
    assert len(server.seen) == 2


def test_next_mirror_starts_from_nothing(server: Server, cache: Path) -> None:
    other = DATA[:-1] + bytes([DATA[-1] ^ 1])
    first, second = server.url(cut(70_000, other), refuse(404)), server.url(whole())
    assert get(entry(first, second), cache).path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=70000-", None]


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500, 503])
def test_http_errors(server: Server, cache: Path, status: int) -> None:
    refused(entry(server.url(refuse(status, b"no"))), cache, f"HTTP {status}")
    assert len(server.seen) == (1 if status < 500 else transfer.TRIES)


def test_all_mirrors_are_listed_with_their_reason(server: Server, cache: Path) -> None:
    urls = [server.url(refuse(403)), server.url(whole(HTML)), server.url(whole(DATA[:100]))]
    message = refused(entry(*urls), cache)
    reasons = [
        f"{urls[0]} answered HTTP 403",
        f"{urls[1]} gave is an HTML page",
        f"{urls[2]} gave does not open as gzip",
    ]
    places = [message.index(reason) for reason in reasons]
    assert places == sorted(places)


def test_no_mirror(cache: Path) -> None:
    refused(entry(), cache, "no address is known")


def test_slow_server(server: Server, cache: Path) -> None:
    refused(entry(server.url(hang)), cache, "sent nothing for 0.1 s", timeout=0.1)


def test_trickling_server(server: Server, cache: Path) -> None:
    refused(entry(server.url(trickle)), cache, "bytes per second for 0.2 s", timeout=0.2)


def test_server_down(cache: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        refused(entry(f"http://127.0.0.1:{port}/images.gz"), cache, "cannot be reached")


def test_no_tls(server: Server, cache: Path) -> None:
    refused(entry(server.url(whole()).replace("http:", "https:")), cache, "TLS")


def test_unusable_address(cache: Path) -> None:
    refused(entry("no address"), cache, "cannot be used")


@pytest.mark.parametrize("sha256", [SUM, None])
def test_short_file(server: Server, cache: Path, sha256: str | None) -> None:
    refused(entry(server.url(whole(DATA[:-7])), sha256=sha256), cache, f"{len(DATA) - 7} instead of {len(DATA)} bytes")
    table = entry(server.url(whole(b"a,b\n")), sha256=sha256, size=8, name="table.csv")
    refused(table, cache, "shorter than published, 4 instead of 8 bytes")


def test_long_file(server: Server, cache: Path) -> None:
    refused(entry(server.url(whole(DATA + b"\0"))), cache, "longer than published")


def test_endless_file_is_given_up(server: Server, cache: Path) -> None:
    def endless(handler: Handler) -> None:
        handler.head(200, None)
        while not handler.server.closing.is_set():
            try:
                handler.wfile.write(DATA)
            except OSError:
                return

    refused(entry(server.url(endless)), cache, "longer than published")


def test_empty_file(server: Server, cache: Path) -> None:
    refused(entry(server.url(whole(b"")), sha256=None, size=None, name="table.csv"), cache, "is empty")


def tar_bytes() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("a.bin")
        info.size = 50_000
        archive.addfile(info, io.BytesIO(random.Random(5).randbytes(50_000)))
    return buffer.getvalue()


def zip_bytes() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.bin", random.Random(6).randbytes(50_000))
    return buffer.getvalue()


ARCHIVES = {"a.tar": tar_bytes(), "a.tgz": gzip.compress(tar_bytes()), "a.tar.gz": gzip.compress(tar_bytes())}
ARCHIVES |= {"a.zip": zip_bytes(), "a.gz": DATA}


@pytest.mark.parametrize("name", ARCHIVES)
def test_cut_archive_without_any_published_number(server: Server, cache: Path, name: str) -> None:
    whole_file = ARCHIVES[name]
    refused(entry(server.url(whole(whole_file[:30_000])), sha256=None, size=None, name=name), cache, "does not open as")
    good = get(entry(server.url(whole(whole_file)), sha256=None, size=None, name=name), cache)
    assert good.path.read_bytes() == whole_file


@pytest.mark.parametrize("name", ["a.tgz", "a.zip", "a.gz"])
def test_garbled_archive_without_published_sum(server: Server, cache: Path, name: str) -> None:
    garbled = bytearray(ARCHIVES[name])
    garbled[25_000] ^= 1
    file = entry(server.url(whole(bytes(garbled))), sha256=None, size=len(garbled), name=name)
    refused(file, cache, "does not open as")


def test_damaged_gzip_trailer_behind_a_whole_tar(server: Server, cache: Path) -> None:
    garbled = bytearray(ARCHIVES["a.tgz"])
    garbled[-5] ^= 1
    refused(entry(server.url(whole(bytes(garbled))), sha256=None, size=None, name="a.tgz"), cache, "CRC")


def test_cache_hit_needs_no_network(server: Server, cache: Path) -> None:
    url = server.url(whole())
    first = get(entry(url), cache)
    again = get(entry(url), cache)
    assert len(server.seen) == 1
    assert (again.path, again.bytes, again.sha256, again.url) == (first.path, first.bytes, first.sha256, None)


def test_damaged_cache_entry_is_fetched_again(server: Server, cache: Path) -> None:
    file = entry(server.url(whole()))
    path = get(file, cache).path
    path.write_bytes(DATA[:-1] + b"x")
    assert get(file, cache).path.read_bytes() == DATA
    assert len(server.seen) == 2
    path.write_bytes(b"")
    refused(entry(server.url(refuse(404))), cache, "404")


def test_first_use_is_pinned(server: Server, cache: Path) -> None:
    url = server.url(whole())
    file = entry(url, sha256=None, size=None)
    first = get(file, cache)
    assert first.path == cache / "sha256" / SUM[:2] / SUM / "images.gz"
    pin = cache / "first_use" / "mnist" / "images.gz.json"
    assert json.loads(pin.read_text()) == {"bytes": len(DATA), "sha256": SUM, "url": url}
    assert get(file, cache) == first
    assert len(server.seen) == 1
    assert files(cache) == ["first_use/mnist/images.gz.json", f"sha256/{SUM[:2]}/{SUM}/images.gz"]


def test_file_that_changed_since_first_use_is_refused(server: Server, cache: Path) -> None:
    changed = gzip.compress(b"another release", mtime=0)
    url = server.url(whole(), whole(changed), whole())
    file = entry(url, sha256=None, size=None)
    path = get(file, cache).path
    path.unlink()
    pin = cache / "first_use" / "mnist" / "images.gz.json"
    refused(file, cache, SUM, hashlib.sha256(changed).hexdigest(), f"delete {pin}")
    assert get(file, cache).path.read_bytes() == DATA
    path.write_bytes(b"damaged")
    assert get(file, cache).path.read_bytes() == DATA


def test_pins_of_two_datasets_are_apart(server: Server, cache: Path) -> None:
    other = gzip.compress(b"other", mtime=0)
    get(entry(server.url(whole()), sha256=None, size=None), cache)
    file = entry(server.url(whole(other)), sha256=None, size=None)
    assert fetch(file, cache, dataset="scd", report=lambda line: None).path.read_bytes() == other


@pytest.mark.parametrize("text", ["{", "[1]", "\udcff"])
def test_broken_pin(server: Server, cache: Path, text: str) -> None:
    pin = cache / "first_use" / "mnist" / "images.gz.json"
    pin.parent.mkdir(parents=True)
    pin.write_text(text, errors="surrogateescape")
    with pytest.raises(ReregisterError, match="delete it"):
        get(entry(server.url(whole()), sha256=None), cache)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("size", [200_000, 100], ids=["while writing", "while closing"])
def test_full_disk(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(download, "_create", lambda part: part.symlink_to("/dev/full"))
    with pytest.raises(ReregisterError, match=r"disk of .* is full") as caught:
        get(entry(server.url(whole(DATA[:size])), size=None), cache)
    assert str(cache) in str(caught.value)
    assert "REREGISTER_CACHE" in str(caught.value)
    assert not cache.parent.exists()
    assert len(server.seen) == 1


def test_full_disk_at_the_pin(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "dumps", full)
    with pytest.raises(ReregisterError, match=r"disk of .* is full"):
        get(entry(server.url(whole()), sha256=None), cache)
    assert not cache.parent.exists()


def test_cache_that_is_no_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ReregisterError, match="REREGISTER_CACHE"):
        get(entry(server.url(whole())), tmp_path / "cache")
    assert files(tmp_path) == ["cache"]


def test_interrupt_leaves_nothing(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: transfer.Transfer) -> None:
        self.part.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer.Transfer, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        get(entry(server.url(whole())), cache)
    assert not cache.parent.exists()


def test_parts_of_killed_jobs_are_swept(server: Server, cache: Path) -> None:
    abandoned, alive = cache / "partial" / "a.gz.1.part", cache / "partial" / "b.gz.2.part"
    abandoned.parent.mkdir(parents=True)
    abandoned.write_bytes(b"half")
    alive.write_bytes(b"half")
    old = time.time() - 2 * 24 * 3600
    os.utime(abandoned, (old, old))
    get(entry(server.url(whole())), cache)
    assert files(cache / "partial") == ["b.gz.2.part"]
    alive.unlink()
    get(entry(server.url(whole()), sha256=None), cache)
    assert not (cache / "partial").exists()


@pytest.mark.parametrize("sha256", [SUM, None])
def test_two_processes_fetch_the_same_file(server: Server, cache: Path, sha256: str | None) -> None:
    both = threading.Barrier(2, timeout=20)

    def together(handler: Handler) -> None:
        handler.head(200, len(DATA))
        handler.wfile.write(DATA[:1000])
        both.wait()
        handler.wfile.write(DATA[1000:])

    code = (
        "import json, sys\nfrom pathlib import Path\nfrom reregister.data.download import fetch\n"
        "got = fetch(json.loads(sys.argv[1]), Path(sys.argv[2]), dataset='mnist', report=lambda line: None)\n"
        "print(got.path)"
    )
    command = [sys.executable, "-c", code, json.dumps(entry(server.url(together), sha256=sha256)), str(cache)]
    environment = os.environ | {"PYTHONPATH": str(Path(download.__file__).parents[2])}
    jobs = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {job.communicate(timeout=30)[0].strip() for job in jobs}
    assert [job.returncode for job in jobs] == [0, 0]
    assert paths == {str(cache / "sha256" / SUM[:2] / SUM / "images.gz")}
    assert Path(paths.pop()).read_bytes() == DATA
    assert len(server.seen) == 2
    assert not (cache / "partial").exists()
    assert len(files(cache)) == (1 if sha256 else 2)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("REREGISTER_CACHE", "/scratch/cache")
    assert cache_folder() == Path("/scratch/cache")
    monkeypatch.setenv("REREGISTER_CACHE", "~/cache")
    assert cache_folder() == Path("/home/someone/cache")
    monkeypatch.delenv("REREGISTER_CACHE")
    assert cache_folder() == Path("/home/someone/.cache/reregister")


def local(tmp_path: Path, data: bytes, **published: Any) -> Any:
    path = tmp_path / "mine.bin"
    path.write_bytes(data)
    return check_local(path, entry(**published))


def test_local_file(tmp_path: Path) -> None:
    checked = local(tmp_path, DATA)
    assert (checked.path, checked.bytes, checked.sha256, checked.url) == (tmp_path / "mine.bin", len(DATA), SUM, None)
    assert local(tmp_path, DATA, sha256=None, size=None).sha256 == SUM
    assert files(tmp_path) == ["mine.bin"]


@pytest.mark.parametrize(
    ("data", "published", "reason"),
    [
        (DATA, {"sha256": "0" * 64}, f"sha256 {SUM} instead of {'0' * 64}"),
        (HTML, {}, "HTML page"),
        (HTML, {"sha256": None, "size": None}, "HTML page"),
        (b"", {"size": None}, "is empty"),
        (DATA[:-9], {"sha256": None, "size": None}, "does not open as gzip"),
        (DATA[:-9], {}, f"{len(DATA) - 9} instead of {len(DATA)} bytes"),
        (DATA + b"\0", {"sha256": None}, "longer than published"),
        (b"not gzip", {"sha256": None, "size": None}, "does not open as gzip"),
        (DATA, {"sha256": None, "size": None, "name": "a.zip"}, "does not open as zip"),
        (DATA, {"sha256": None, "size": None, "name": "a.tar"}, "does not open as tar"),
        (DATA, {"sha256": None, "size": None, "name": "a.tgz"}, "does not open as tar.gz"),
    ],
)
def test_local_file_refused(tmp_path: Path, data: bytes, published: dict[str, Any], reason: str) -> None:
    with pytest.raises(ReregisterError) as caught:
        local(tmp_path, data, **published)
    message = str(caught.value)
    assert reason in message
    assert str(tmp_path / "mine.bin") in message
    assert published.get("name", "images.gz") in message
    assert (tmp_path / "mine.bin").read_bytes() == data


MD5 = {"sha256": None, "size": None, "md5": hashlib.md5(DATA, usedforsecurity=False).hexdigest()}
OTHER = gzip.compress(b"not the file that the sum was taken of", mtime=0)


def test_a_published_md5_is_held_to_in_a_local_file(tmp_path: Path) -> None:
    assert local(tmp_path, DATA, **MD5).sha256 == SUM
    with pytest.raises(ReregisterError, match=rf"it has md5 [0-9a-f]{{32}} instead of {MD5['md5']}; fetch"):
        local(tmp_path, OTHER, **MD5)


def test_a_published_md5_is_held_to_in_a_download(server: Server, cache: Path) -> None:
    bad, good = server.url(whole(OTHER)), server.url(whole(DATA))
    refused(entry(bad, **MD5), cache, f"instead of {MD5['md5']}")
    assert get(entry(bad, good, **MD5), cache).url == good
    assert get(entry(**MD5), cache).sha256 == SUM


def test_local_file_missing_or_folder(tmp_path: Path) -> None:
    with pytest.raises(ReregisterError, match=r"absent\.gz does not exist; images\.gz is expected"):
        check_local(tmp_path / "absent.gz", entry())
    with pytest.raises(ReregisterError, match=r"is not a file; name the file images\.gz"):
        check_local(tmp_path, entry())


@pytest.mark.parametrize(
    "head", [b"<!doctype html>", b"<HTML>", b"\xef\xbb\xbf<!DOCTYPE HTML", b"\r\n\t <html lang='en'>"]
)
def test_html_is_recognised(head: bytes) -> None:
    assert looks_like_html(head)


@pytest.mark.parametrize("head", [b"", DATA[:512], b"PatientID,OriginalID\n", b"<?xml version='1.0'?>", b"a <html>"])
def test_data_is_not_html(head: bytes) -> None:
    assert not looks_like_html(head)


def test_origin() -> None:
    assert origin_of(entry(), "standin") == "synthetic"
    assert origin_of(entry(sha256=None), "standin") == "synthetic"
    for mode in ("download", "path"):
        assert origin_of(entry(), mode) == "original-verified"
        assert origin_of(entry(**MD5), mode) == "original-verified"
        assert origin_of(entry(sha256=None), mode) == "original-first-use"


def test_terms() -> None:
    require_terms("mnist", None, [])
    require_terms("ibsr", "https://www.nitrc.org/projects/ibsr/", ["oasis", "ibsr"])
    with pytest.raises(ReregisterError) as caught:
        require_terms("ibsr", "https://www.nitrc.org/projects/ibsr/", [])
    for part in ("ibsr", "https://www.nitrc.org/projects/ibsr/", "--config 'accept_terms=[ibsr]'"):
        assert part in str(caught.value)
    with pytest.raises(ReregisterError, match=r"accept_terms=\[ibsr,oasis\]"):
        require_terms("oasis", "OASIS Data Use Agreement", ["ibsr"])
