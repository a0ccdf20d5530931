"""The vendored files are those that the list names."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources

VENDOR = resources.files("api.console").joinpath("static", "vendor")
LISTED = json.loads(VENDOR.joinpath("VERSIONS.json").read_text("utf-8"))


def test_every_file_is_listed_with_its_licence():
    listed = {entry[key] for entry in LISTED for key in ("file", "licence_file")}
    assert {path.name for path in VENDOR.iterdir()} == {*listed, "VERSIONS.json"}
    assert all(entry["version"] and entry["licence"] for entry in LISTED)


def test_no_file_was_changed():
    for entry in LISTED:
        digest = hashlib.sha384(VENDOR.joinpath(entry["file"]).read_bytes()).digest()
        assert entry["sha384"] == "sha384-" + base64.b64encode(digest).decode()
