"""pytest plugin (`-p shipped`) for the tests that the SDK's own wheel brings along. They make clients
without an address, and older releases read none from the environment."""

import os

import support

support.watch_hosts()

import composio  # noqa: E402  (after the audit has begun)


class Here(composio.Composio):
    def __init__(self, *args, **options):
        options.setdefault("base_url", os.environ["BASE_URL"])
        options.setdefault("allow_tracking", False)
        super().__init__(*args, **options)


composio.Composio = Here


def pytest_sessionfinish(session):
    assert support.foreign == []
