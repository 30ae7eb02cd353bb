"""Compares tools/call through a session's MCP endpoint with rmcp alone and with POST tools/execute,
and measures multi-execute and the memory of idle clients. Prints tables; asserts nothing.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from run import ROOT, Servers, call, cpu_seconds, free_port, load, percentile, rss_mb, wait_for

KEY = "ak_benchbenchbenchbench"
ACCEPT = "application/json, text/event-stream"
TOOLKIT = """spec: 1
slug: {slug}
name: {slug}
description: An upstream of the benchmark.
versions: ["20261101_00"]
base_url: http://127.0.0.1:{port}
auth:
  - scheme: NO_AUTH
"""
TOOLS = """tools:
  - slug: {name}
    name: Get an item
    description: Fetches the fixed item of the benchmark's upstream.
    hints: {{read_only: true}}
    params:
      item_id: {{type: string, required: true, description: "Id of the item.", examples: ["42"]}}
    request: {{method: GET, path: "/items/{{item_id}}"}}
"""


def slow_upstream(port, delay=0.1):
    """Answers after a fixed time, whatever is asked."""
    answer = b'{"id":"42"}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)

    async def serve(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(delay)
                writer.write(head + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()


def start(servers, folder, profile, fast, slow):
    toolkits = folder / "toolkits"
    for slug, port in (("benchfree", fast), ("benchslow", slow)):
        (toolkits / slug / "tools").mkdir(parents=True)
        (toolkits / slug / "toolkit.yaml").write_text(TOOLKIT.format(slug=slug, port=port))
        (toolkits / slug / "tools/all.yaml").write_text(TOOLS.format(name=f"{slug.upper()}_GET_ITEM"))
    port = free_port()
    env = {
        **os.environ,
        "PATCHBAY_LISTEN": f"127.0.0.1:{port}",
        "PATCHBAY_DATA_DIR": str(folder / "data"),
        "PATCHBAY_PROJECT_API_KEY": KEY,
        "PATCHBAY_TOOLKITS_DIR": str(toolkits),
        "PATCHBAY_EGRESS_ALLOW": "127.0.0.0/8",
        "PATCHBAY_RATE_LIMIT": "0",
        "PATCHBAY_LOG_FILTER": "warn",
    }
    process = servers.start([str(profile / "patchbay")], env, folder / "patchbay.log")
    base = f"http://127.0.0.1:{port}"
    wait_for(f"{base}/health/ready", process)
    return process, base


def target(folder, name, url, body):
    """A request for h2load, tried once."""
    headers = {"x-api-key": KEY, "content-type": "application/json", "accept": ACCEPT}
    file = folder / f"{name}.json"
    file.write_text(json.dumps(body))
    answer = call(url, body, headers)
    result = answer.get("result", answer)
    if answer.get("error") or result.get("isError"):
        sys.exit(f"{name}: {answer}")
    return {"url": url, "headers": headers, "body": str(file)}


def rpc(name, arguments):
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


def session(base, **more):
    made = call(f"{base}/api/v3.1/tool_router/session", {"user_id": "bench", **more}, {"x-api-key": KEY})
    return made["mcp"]["url"]


def calls(servers, folder, profile, base, url, seconds):
    port = free_port()
    echo = servers.start([str(profile / "examples/mcp_echo"), f"127.0.0.1:{port}"])
    for _ in range(500):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.01)
    item = {"item_id": "42"}
    schemas = {"tool_slugs": ["BENCHFREE_GET_ITEM"]}
    targets = {
        "rmcp echo": target(folder, "echo", f"http://127.0.0.1:{port}/mcp", rpc("echo", {"text": "x" * 256})),
        "mcp, own tool": target(folder, "own", url, rpc("COMPOSIO_GET_TOOL_SCHEMAS", schemas)),
        "mcp, upstream": target(folder, "mcp", url, rpc("BENCHFREE_GET_ITEM", item)),
        "execute": target(
            folder,
            "execute",
            f"{base}/api/v3/tools/execute/BENCHFREE_GET_ITEM",
            {"user_id": "bench", "arguments": item},
        ),
    }
    rows = {name: load(t, seconds, 32) for name, t in targets.items()}
    half = min(row["rate"] for row in rows.values()) / 2
    for name, t in targets.items():
        row = load(t, seconds, 8, rps=half)
        rows[name].update(p50=percentile(row["micros"], 0.5), p99=percentile(row["micros"], 0.99))
        rows[name]["bad"] += row["bad"]
    print(f"\n{os.cpu_count()} processors, 32 clients at saturation, latency at {half:.0f} requests/s\n")
    print(f"{'':16}{'req/s':>10}{'of rmcp':>10}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
    for name, row in rows.items():
        share = row["rate"] / rows["rmcp echo"]["rate"]
        print(f"{name:16}{row['rate']:>10.0f}{share:>10.2f}{row['p50']:>9.3f}{row['p99']:>9.3f}{row['bad']:>8}")
    added = rows["mcp, upstream"]["p50"] - rows["execute"]["p50"]
    print(f"\nMCP over tools/execute, same upstream: {added:+.3f} ms at p50")
    echo.terminate()


def multi_execute(url, rounds):
    tools = [{"tool_slug": "BENCHSLOW_GET_ITEM", "arguments": {"item_id": str(n)}} for n in range(20)]
    body, headers = rpc("COMPOSIO_MULTI_EXECUTE_TOOL", {"tools": tools}), {"x-api-key": KEY, "accept": ACCEPT}
    took = []
    for number in range(rounds + 2):
        begun = time.monotonic()
        answer = call(url, body, headers)
        if number > 1:
            took.append((time.monotonic() - begun) * 1000)
        if answer.get("error") or answer["result"].get("isError"):
            sys.exit(f"multi-execute: {answer}")
    took.sort()
    print(
        f"multi-execute, 20 calls to an upstream of 100 ms: p50 {statistics.median(took):.1f} ms, "
        f"worst of {rounds} {took[-1]:.1f} ms"
    )


async def idle_clients(process, base, sessions, clients, seconds):
    host, port = base.removeprefix("http://").split(":")
    urls = [session(base) for _ in range(sessions)]
    await asyncio.sleep(2)
    before = rss_mb(process.pid)
    streams = []
    for number in range(clients):
        path = urls[number % len(urls)].removeprefix(base)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nx-api-key: {KEY}\r\n"
            "accept: text/event-stream\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            sys.exit(f"idle client: {head}")
        streams.append((reader, writer))
    await asyncio.sleep(2)
    opened = rss_mb(process.pid)
    cpu = cpu_seconds([process.pid])
    samples = []
    for _ in range(10):
        await asyncio.sleep(seconds / 10)
        # What came meanwhile is read, as a client would.
        for reader, _ in streams:
            reader._buffer.clear()
        samples.append(rss_mb(process.pid))
    cpu = (cpu_seconds([process.pid]) - cpu) / seconds * 100
    print(
        f"{sessions} sessions, {clients} idle clients: {before:.1f} MB before, {opened:.1f} MB with them, "
        f"{(opened - before) * 1024 / clients:.1f} kB per client; after {seconds} s {samples[-1]:.1f} MB "
        f"(highest {max(samples):.1f}), CPU {cpu:.1f} %"
    )
    for _, writer in streams:
        writer.close()
    await asyncio.sleep(2)
    print(f"after they left: {rss_mb(process.pid):.1f} MB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    profile = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / os.environ.get("BENCH_PROFILE", "release")
    folder = Path(tempfile.mkdtemp(prefix="patchbay-bench-"))
    folder.chmod(0o755)
    servers = Servers(folder)
    try:
        fast, slow = free_port(), free_port()
        answer = json.dumps({"id": "42", "title": "An item", "tags": ["a", "b"], "text": "x" * 256})
        origin = servers.nginx(
            "upstream",
            f"server {{ listen 127.0.0.1:{fast}; default_type application/json; location / {{ return 200 '{answer}'; }} }}",
        )
        wait_for(f"http://127.0.0.1:{fast}/", origin)
        slow_upstream(slow)
        process, base = start(servers, folder, profile, fast, slow)
        url = session(base)
        calls(servers, folder, profile, base, url, 3 if short else 15)
        multi_execute(url, 10 if short else 100)
        sessions, clients, seconds = (200, 100, 10) if short else (10_000, 1_000, 600)
        asyncio.run(idle_clients(process, base, sessions, clients, seconds))
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
