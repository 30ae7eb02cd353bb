"""Shared pieces: an audit of the hosts contacted, a person with a browser, and waiting."""

import html.parser
import http.server
import ipaddress
import sys
import threading
import time
import urllib.parse

import httpx

# --- hosts contacted -----------------------------------------------------------------------------

foreign: list[str] = []


def _is_loopback(host) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    if isinstance(host, bytes):
        host = host.decode()
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def _audit(event: str, args: tuple) -> None:
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    elif event in ("socket.gethostbyname", "socket.gethostbyaddr"):
        host = args[0]
    else:
        return
    if not _is_loopback(host):
        foreign.append(f"{event} {host!r}")
        raise ConnectionRefusedError(f"the tests may not contact {host!r}")


def watch_hosts() -> None:
    """From here on, every host that this process looks up or connects to is loopback, or it is
    recorded and refused. The interpreter reports these events itself, so no library escapes."""
    sys.addaudithook(_audit)


# --- a person with a browser ---------------------------------------------------------------------


class _Form:
    def __init__(self, action):
        self.action, self.fields, self.buttons, self.text = action, {}, [], ""


class _Forms(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found, self._open = [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self._open = _Form(attrs.get("action", ""))
            self.found.append(self._open)
        elif self._open and tag == "input" and attrs.get("name"):
            self._open.fields[attrs["name"]] = attrs.get("value", "")
        elif self._open and tag == "button" and attrs.get("name"):
            self._open.buttons.append((attrs["name"], attrs.get("value", "")))

    def handle_data(self, data):
        if self._open:
            self._open.text += data

    def handle_endtag(self, tag):
        if tag == "form":
            self._open = None


class Browser:
    """Follows redirects and submits a form of each page (the one that names `choose`, else the
    first), until it is sent to a host that is not among the servers of the tests: there it stops
    and returns the address."""

    def __init__(self, choose: str = "", **fill):
        self.choose, self.fill = choose, fill
        self.http = httpx.Client(follow_redirects=False, timeout=30)
        self.visited: list[str] = []
        self.page = ""

    def go(self, url: str, deny: bool = False, submit: bool = True) -> str:
        method, data = "GET", None
        for _ in range(20):
            parts = urllib.parse.urlsplit(url)
            self.visited.append(url)
            if not _is_loopback(parts.hostname) or parts.path == "/landing":
                return url
            answer = self.http.request(method, url, data=data)
            if answer.is_redirect:
                url, method, data = urllib.parse.urljoin(url, answer.headers["location"]), "GET", None
                continue
            self.page = answer.text
            forms = _Forms(answer.text).found
            if not forms or not submit:
                return url
            form = next((form for form in forms if self.choose and self.choose in form.text), forms[0])
            data = {k: self.fill.get(k, v) for k, v in form.fields.items()}
            names = [value for _, value in form.buttons]
            if deny and "cancel" in names:
                data["action"] = "cancel"
            elif form.buttons:
                data[form.buttons[0][0]] = form.buttons[0][1]
            url, method = urllib.parse.urljoin(url, form.action or url), "POST"
        raise AssertionError(f"no end of redirects: {self.visited}")


def query_of(url: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True))


def until(what, seconds: float = 20):
    """Polls until `what` gives something true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


# --- a project's own server ----------------------------------------------------------------------


class Receiver:
    """Takes webhooks on loopback. `answers` are the statuses of the next ones; then it says 200."""

    def __init__(self):
        self.taken: list[dict] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                status = receiver.answers.pop(0) if receiver.answers else 200
                receiver.taken.append({"headers": dict(self.headers.items()), "body": body, "status": status})
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def about(self, text: str) -> list[dict]:
        """What it took that has this text in its body."""
        return [request for request in self.taken if text in request["body"]]

    def wait_for(self, text: str, count: int = 1) -> list[dict]:
        return until(lambda: len(self.about(text)) >= count and self.about(text))
