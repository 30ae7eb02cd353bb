"""Files that the SDK uploads for an argument, and files that it downloads from a result."""

import base64
import hashlib
from pathlib import Path

import pytest
from conftest import SDK_VERSION, sdk

# Newer releases upload and download only when they are told to, and to public addresses only.
NEWER = tuple(int(part) for part in SDK_VERSION.split(".")[:2]) >= (0, 12)
VERSION = "20250909_00"
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def files(project, tmp_path):
    options = {"file_download_dir": str(tmp_path / "down")}
    if NEWER:
        options |= {"dangerously_allow_auto_upload_download_files": True, "file_upload_dirs": [str(tmp_path)]}
    return sdk(project["api_key"], **options)


@pytest.fixture
def reachable(monkeypatch):
    """Lets the SDK take this machine for a public address."""
    if NEWER:
        from composio.utils import url_safety

        blocked = url_safety.is_blocked_ip
        monkeypatch.setattr(url_safety, "is_blocked_ip", lambda ip: ip != "127.0.0.1" and blocked(ip))


def test_a_local_file_is_uploaded_and_arrives_as_it_was(files, connect, user, tmp_path, reachable):
    connect(user)
    local = tmp_path / "räport.bin"
    local.write_bytes(CONTENT)
    for _ in range(2):
        result = files.tools.execute("ACME_SEND_FILE", {"file": str(local)}, user_id=user, version=VERSION)
        assert result["successful"] is True, result
        assert result["data"]["body_base64"] == base64.b64encode(CONTENT).decode()
        assert int(result["data"]["headers"]["content-length"]) == len(CONTENT)


def test_a_file_of_a_result_is_downloaded(files, connect, user, tmp_path, reachable):
    connect(user)
    result = files.tools.execute("ACME_GET_PIXEL", {}, user_id=user, version=VERSION)
    assert result["successful"] is True, result
    saved = Path(result["data"]["file"])
    assert (tmp_path / "down") in saved.parents
    assert saved.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    result = files.tools.execute(
        "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF", {"text": "# Hello"}, user_id=user, version=VERSION
    )
    assert Path(result["data"]["file"]).read_bytes().startswith(b"%PDF-")


def test_the_uploads_of_a_project_are_listed(files, composio, connect, user, tmp_path, reachable):
    connect(user)
    local = tmp_path / f"{user}.txt"
    local.write_text(user)
    files.tools.execute("ACME_SEND_FILE", {"file": str(local)}, user_id=user, version=VERSION)
    listed = composio.client.files.list(tool_slug="ACME_SEND_FILE", limit=100)
    found = [item for item in listed.items if item.filename == local.name]
    assert [item.md5 for item in found] == [hashlib.md5(user.encode()).hexdigest()]


@pytest.mark.skipif(not NEWER, reason="this release goes to any address")
def test_the_sdk_itself_refuses_a_private_address(files, connect, user, tmp_path):
    from composio.exceptions import BlockedInternalUrlError

    connect(user)
    local = tmp_path / "a.txt"
    local.write_text("a")
    with pytest.raises(BlockedInternalUrlError):
        files.tools.execute("ACME_SEND_FILE", {"file": str(local)}, user_id=user, version=VERSION)
