"""Compares direct calls, nginx as a header-adding proxy and POST tools/execute in one run.

All three reach the same upstream: an nginx with a fixed answer. Latency is taken at half of
the slowest contender's saturation, the same request rate for all, so that it compares. Prints a
table; asserts nothing.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLOCK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call(url, body=None, headers=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def descendants(pid):
    found, todo = [], [pid]
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(parents.get(pid, []))
    return found


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / CLOCK


def rss_mb(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


class Servers:
    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def nginx(self, name, server):
        conf = self.folder / f"{name}.conf"
        conf.write_text(
            f"daemon off; worker_processes 1; pid {self.folder}/{name}.pid; error_log stderr crit;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;\n"
            f"client_body_temp_path {self.folder}/{name}-b; proxy_temp_path {self.folder}/{name}-p;\n"
            f"{server} }}\n"
        )
        return self.start(["nginx", "-c", str(conf), "-e", "stderr"])

    def start(self, command, env=None, log=None):
        out = open(log, "w") if log else subprocess.DEVNULL
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT if log else None)
        self.processes.append(process)
        return process

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for(url, process, seconds=60):
    for _ in range(seconds * 100):
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            if process.poll() is not None:
                sys.exit(f"server ended with {process.returncode}")
            time.sleep(0.01)
    sys.exit(f"{url} did not answer")


def load(target, seconds, clients, rps=None):
    """Runs h2load; gives requests per second, failures and latencies in microseconds."""
    with tempfile.NamedTemporaryFile("r") as log:
        command = ["h2load", "--h1", "-t1", f"-c{clients}", f"-D{seconds}", "--warm-up-time=1"]
        if rps:
            command += [f"--rps={rps / clients:.2f}", f"--log-file={log.name}"]
        for name, value in target.get("headers", {}).items():
            command += ["-H", f"{name}: {value}"]
        if target.get("body"):
            command += ["-d", target["body"]]
        out = subprocess.run(command + [target["url"]], capture_output=True, text=True, check=True).stdout
        rate = float(re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", out)[1])
        good = int(re.search(r"status codes: (\d+) 2xx", out)[1])
        failed = int(re.search(r"(\d+) failed", out)[1])
        bad = sum(map(int, re.search(r"2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out).groups())) + failed
        micros = sorted(int(line.split("\t")[2]) for line in log) if rps else []
    return {"rate": rate, "good": good, "bad": bad, "micros": micros}


def percentile(micros, share):
    return micros[min(len(micros) - 1, int(len(micros) * share))] / 1000 if micros else float("nan")


def patchbay(servers, folder, upstream):
    toolkits = folder / "toolkits"
    shutil.copytree(ROOT / "bench/toolkits", toolkits)
    providers = folder / "providers.yaml"
    providers.write_text(f"bench: {{base_url: 'http://127.0.0.1:{upstream}'}}\n")
    port = free_port()
    key = "ak_benchbenchbenchbench"
    env = {
        **os.environ,
        "PATCHBAY_LISTEN": f"127.0.0.1:{port}",
        "PATCHBAY_DATA_DIR": str(folder / "data"),
        "PATCHBAY_PROJECT_API_KEY": key,
        "PATCHBAY_TOOLKITS_DIR": str(toolkits),
        "PATCHBAY_PROVIDERS_FILE": str(providers),
        "PATCHBAY_EGRESS_ALLOW": "127.0.0.0/8",
        "PATCHBAY_RATE_LIMIT": "0",
        "PATCHBAY_LOG_FILTER": "warn",
    }
    binary = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/patchbay"
    base = f"http://127.0.0.1:{port}"
    starts = []
    for run in range(4):
        begun = time.monotonic()
        process = servers.start([str(binary)], env, folder / "patchbay.log")
        wait_for(f"{base}/health/ready", process)
        if run > 0:
            starts.append(time.monotonic() - begun)
        if run < 3:
            servers.processes.remove(process)
            process.terminate()
            process.wait(60)
    headers = {"x-api-key": key}
    config = call(
        f"{base}/api/v3/auth_configs",
        {"toolkit": {"slug": "bench"}, "auth_config": {"type": "use_custom_auth", "authScheme": "API_KEY"}},
        headers,
    )["auth_config"]["id"]
    call(
        f"{base}/api/v3/connected_accounts",
        {
            "auth_config": {"id": config},
            "connection": {
                "user_id": "bench",
                "state": {"authScheme": "API_KEY", "val": {"status": "ACTIVE", "api_key": "secret"}},
            },
        },
        headers,
    )
    body = folder / "body.json"
    body.write_text(json.dumps({"user_id": "bench", "arguments": {"item_id": "42"}}))
    target = {
        "url": f"{base}/api/v3/tools/execute/BENCH_GET_ITEM",
        "headers": {**headers, "content-type": "application/json"},
        "body": str(body),
    }
    answer = call(target["url"], json.loads(body.read_text()), headers)
    if not answer["successful"]:
        sys.exit(f"the tool failed: {answer}")
    return process, target, statistics.median(starts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    seconds, clients = (3, 32) if short else (15, 32)
    folder = Path(tempfile.mkdtemp(prefix="patchbay-bench-"))
    folder.chmod(0o755)
    servers = Servers(folder)
    try:
        upstream, proxy = free_port(), free_port()
        answer = json.dumps({"id": "42", "title": "An item", "tags": ["a", "b"], "text": "x" * 256})
        origin = servers.nginx(
            "upstream",
            f"server {{ listen 127.0.0.1:{upstream}; default_type application/json; location / {{ return 200 '{answer}'; }} }}",
        )
        reverse = servers.nginx(
            "proxy",
            f"upstream u {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}\n"
            f"server {{ listen 127.0.0.1:{proxy}; location / {{ proxy_pass http://u; proxy_http_version 1.1;\n"
            "proxy_set_header Connection ''; proxy_set_header Authorization 'Bearer secret'; } }",
        )
        wait_for(f"http://127.0.0.1:{upstream}/", origin)
        wait_for(f"http://127.0.0.1:{proxy}/", reverse)
        process, target, start = patchbay(servers, folder, upstream)
        idle = rss_mb(process.pid)
        targets = {
            "direct": ({"url": f"http://127.0.0.1:{upstream}/items/42"}, origin),
            "nginx": ({"url": f"http://127.0.0.1:{proxy}/items/42"}, reverse),
            "patchbay": (target, process),
        }
        rows = {}
        for name, (t, p) in targets.items():
            pids = descendants(p.pid)
            before, own = cpu_seconds(pids), cpu_seconds([p.pid])
            row = load(t, seconds, clients)
            # The warm-up second is not in `good`; its share of the time is left out.
            share = seconds / (seconds + 1) / max(1, row["good"]) * 1e6
            row["cpu"] = (cpu_seconds(pids) - before) * share
            row["own"] = (cpu_seconds([p.pid]) - own) * share
            rows[name] = row
        half = min(row["rate"] for row in rows.values()) / 2
        for name, (t, _) in targets.items():
            row = load(t, seconds, 8, rps=half)
            rows[name].update(p50=percentile(row["micros"], 0.5), p99=percentile(row["micros"], 0.99))
            rows[name]["bad"] += row["bad"]
        calls = rows["patchbay"]["good"]
        while calls < 100_000 and not short:
            calls += load(target, 10, clients)["good"]
        after = rss_mb(process.pid)
        direct = rows["direct"]
        print(f"\n{os.cpu_count()} processors, {clients} clients at saturation, latency at {half:.0f} requests/s\n")
        print(f"{'':10}{'req/s':>10}{'of nginx':>10}{'p50 ms':>9}{'p99 ms':>9}{'p50 added':>11}{'p99 added':>11}{'CPU us/call':>13}{'failed':>8}")
        for name, row in rows.items():
            print(
                f"{name:10}{row['rate']:>10.0f}{row['rate'] / rows['nginx']['rate']:>10.2f}{row['p50']:>9.3f}{row['p99']:>9.3f}"
                f"{row['p50'] - direct['p50']:>11.3f}{row['p99'] - direct['p99']:>11.3f}{row['cpu']:>13.1f}{row['bad']:>8}"
            )
        print(f"\npatchbay: memory {idle:.0f} MB idle, {after:.0f} MB after {calls} calls; warm start {start:.2f} s (median of 3)")
        ours = rows["patchbay"]
        print(
            f"CPU per call of patchbay: {ours['own']:.1f} us in the server, "
            f"{ours['cpu'] - ours['own']:.1f} us in its PostgreSQL, which writes the log rows"
        )
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
