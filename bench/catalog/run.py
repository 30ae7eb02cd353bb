"""Measures a server with a large catalogue: what a first `toolkits sync` costs, how long a start takes
after it, what it needs of memory, and how fast lists, details and searches are. Prints a table; asserts
nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from run import Servers, call, free_port, load, percentile, rss_mb, wait_for  # noqa: E402

STARTS = 5
# Requests per second at which delays are taken: far from saturation.
RATE = 100
TARGETS = [
    ("GET /toolkits", "/api/v3/toolkits"),
    ("GET /toolkits, page of 100", "/api/v3/toolkits?limit=100"),
    ("GET /toolkits?search=", "/api/v3/toolkits?search=mail"),
    ("GET /tools", "/api/v3/tools"),
    ("GET /tools, page of 100", "/api/v3/tools?limit=100"),
    ("GET /tools of a toolkit", "/api/v3/tools?toolkit_slug=github&limit=100"),
    ("GET /tools?query=", "/api/v3/tools?query=send%20an%20email%20with%20an%20attachment"),
    ("GET /tools/{slug}", "/api/v3/tools/GITHUB_CREATE_AN_ISSUE"),
    ("GET /tools/{slug}, imported", "/api/v3/tools/GITHUB_LIST_PUBLIC_EVENTS"),
    ("GET /toolkits/{slug}", "/api/v3/toolkits/github"),
]


def start(servers, binary, env, folder, base):
    begun = time.monotonic()
    process = servers.start([str(binary)], env, folder / "patchbay.log")
    wait_for(f"{base}/health/ready", process)
    return process, time.monotonic() - begun


def stop(servers, process):
    servers.processes.remove(process)
    process.terminate()
    process.wait(60)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, help="toolkits of the packages; all of them otherwise")
    parser.add_argument("--seconds", type=int, default=10, help="per figure")
    options = parser.parse_args()
    binary = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/patchbay"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        servers = Servers(folder)
        port = free_port()
        key, org = "ak_benchbenchbenchbench", "oak_benchbenchbenchbench"
        base = f"http://127.0.0.1:{port}"
        env = {
            **os.environ,
            "PATCHBAY_LISTEN": f"127.0.0.1:{port}",
            "PATCHBAY_DATA_DIR": str(folder / "data"),
            "PATCHBAY_PROJECT_API_KEY": key,
            "PATCHBAY_ORG_API_KEY": org,
            "PATCHBAY_RATE_LIMIT": "0",
            "PATCHBAY_LOG_FILTER": "warn",
        }
        headers = {"x-api-key": key}
        try:
            process, _ = start(servers, binary, env, folder, base)
            before = rss_mb(process.pid)
            command = [str(binary), "toolkits", "sync", "--cache", str(ROOT / "target/packages")]
            command += ["--report", str(folder / "report.json")]
            if options.limit:
                command += ["--limit", str(options.limit)]
            begun = time.monotonic()
            subprocess.run(command, env={**env, "PATCHBAY_URL": base}, check=True)
            took = time.monotonic() - begun
            after = rss_mb(process.pid)
            report = json.loads((folder / "report.json").read_text())
            imported = sum(taken["tools"] for taken in report["installed"])
            stop(servers, process)
            starts = []
            for _ in range(STARTS):
                process, seconds = start(servers, binary, env, folder, base)
                starts.append(seconds)
                time.sleep(3)
                idle = rss_mb(process.pid)
                if len(starts) < STARTS:
                    stop(servers, process)
            toolkits = call(f"{base}/api/v3/toolkits?limit=1", headers=headers)["total_items"]
            tools = call(f"{base}/api/v3/tools?limit=1", headers=headers)["total_items"]
            print(f"\n| | |\n|---|---|\n| toolkits, tools | {toolkits:,}, {tools:,} |")
            print(f"| first sync: toolkits, tools | {len(report['installed']):,}, {imported:,} |")
            print(f"| its failures, and what is left out on purpose | {len(report['failed'])}, {len(report['left_out'])} |")
            print(f"| its time | {took:.0f} s |")
            print(f"| memory before and after it, same process | {before:.0f} MB, {after:.0f} MB |")
            print(f"| start, median of {STARTS} | {statistics.median(starts):.2f} s |")
            print(f"| memory 3 s after a start | {idle:.0f} MB |")
            print(f"\n| at {RATE} requests per second | p50 | p99 | failed |\n|---|---|---|---|")
            for name, path in TARGETS:
                target = {"url": base + path, "headers": headers}
                done = load(target, options.seconds, 4, RATE)
                micros = done["micros"]
                print(f"| {name} | {percentile(micros, 0.5):.1f} ms | {percentile(micros, 0.99):.1f} ms | {done['bad']} |")
            print(f"\nMemory after the requests: {rss_mb(process.pid):.0f} MB.")
        finally:
            servers.stop()


if __name__ == "__main__":
    main()
