# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A server on loopback that can do range requests, and can misbehave."""

from __future__ import annotations

import io
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@dataclass
class Served:
    """One file and how it is served.

    Args:
        content: its bytes.
        cut: lengths after which the connection is dropped, one per request; later requests are answered in full.
        statuses: answers given, one per request, before the file is.
        has_ranges: whether range requests are honoured.
        content_type: header.
    """

    content: bytes
    cut: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    has_ranges: bool = True
    content_type: str = "application/octet-stream"
    etag: str = '"v1"'
    requests: list[str | None] = field(default_factory=list)  # Range headers that came


class Server:
    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, Served] = {}

    def serve(self, name: str, content: bytes, **options: object) -> str:
        self.files[name] = Served(content, **options)  # type: ignore[arg-type]
        return f"{self.address}/{name}"


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            file = box.files.get(self.path.lstrip("/"))
            if file is None:
                self.send_error(404)
                return
            span = self.headers.get("Range")
            file.requests.append(span)
            if file.statuses:
                self.send_error(file.statuses.pop(0))
                return
            start = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span else 0
            if self.headers.get("If-Range", file.etag) != file.etag or not file.has_ranges:
                start = 0
            total = len(file.content)
            if start >= total > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(total - start))
            self.send_header("Content-Type", file.content_type)
            self.send_header("ETag", file.etag)
            self.end_headers()
            self.wfile.write(file.content[start : start + file.cut.pop(0)] if file.cut else file.content[start:])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        box = Server(f"http://127.0.0.1:{running.server_address[1]}")
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield box
        running.shutdown()
        thread.join()


@pytest.fixture
def zipped() -> Callable[[dict[str, bytes]], bytes]:
    def pack(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    return pack


@pytest.fixture
def kvasir_files() -> dict[str, bytes]:
    """Three pairs in the layout of Kvasir-SEG."""
    files = {}
    for number in range(3):
        generator = np.random.default_rng(number)
        mask = np.zeros((24, 32), np.uint8)
        mask[4 : 10 + number, 5:20] = 255
        picture = generator.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        name = f"cju0qkwl35piu0993l0dewe{number:02d}"
        for path, array, kind in (("images", picture, "jpeg"), ("masks", mask, "png")):
            buffer = io.BytesIO()
            Image.fromarray(array).save(buffer, format=kind)
            files[f"Kvasir-SEG/{path}/{name}.{kind}"] = buffer.getvalue()
    return files


@pytest.fixture
def kvasir_folder(tmp_path: Path, kvasir_files: dict[str, bytes]) -> Path:
    for name, content in kvasir_files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path
