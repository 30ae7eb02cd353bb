"""Vinyl, a provider of OAuth 1.0a: every signature, token, nonce and verifier is checked by oauthlib."""

import html
import json
import secrets
import socketserver
import threading
import time
import urllib.parse
import wsgiref.simple_server

from oauthlib import oauth1

CONSUMERS = {"vinyl-key": "vinyl secret &+%", "other-key": "other-secret"}


class Validator(oauth1.RequestValidator):
    enforce_ssl = False
    safe_characters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    realms = ["crates"]
    client_key_length = (8, 30)
    request_token_length = access_token_length = verifier_length = (8, 60)

    def __init__(self):
        self.requests, self.accesses, self.nonces = {}, {}, set()

    dummy_client, dummy_request_token, dummy_access_token = "dummy-client", "dummy-token", "dummy-token"

    def validate_client_key(self, client_key, request):
        return client_key in CONSUMERS

    def get_client_secret(self, client_key, request):
        return CONSUMERS.get(client_key, "dummy")

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request, request_token=None, access_token=None):
        fresh = abs(time.time() - int(timestamp)) < 60 and nonce not in self.nonces
        self.nonces.add(nonce)
        return fresh

    def validate_requested_realms(self, client_key, realms, request):
        return realms == ["crates"]

    def get_default_realms(self, client_key, request):
        return []

    def validate_redirect_uri(self, client_key, redirect_uri, request):
        return redirect_uri.startswith("http://127.0.0.1:")

    # Temporary credentials.
    def save_request_token(self, token, request):
        self.requests[token["oauth_token"]] = {
            "secret": token["oauth_token_secret"],
            "client": request.client_key,
            "redirect": request.redirect_uri,
            "verifier": None,
        }

    def validate_request_token(self, client_key, token, request):
        return self.requests.get(token, {}).get("client") == client_key

    def get_request_token_secret(self, client_key, token, request):
        return self.requests.get(token, {}).get("secret", "dummy")

    def verify_request_token(self, token, request):
        return token in self.requests

    def get_realms(self, token, request):
        return ["crates"]

    def verify_realms(self, token, realms, request):
        return True

    def get_redirect_uri(self, token, request):
        return self.requests[token]["redirect"]

    def save_verifier(self, token, verifier, request):
        self.requests[token]["verifier"] = verifier["oauth_verifier"]

    def validate_verifier(self, client_key, token, verifier, request):
        expected = self.requests.get(token, {}).get("verifier")
        return expected is not None and secrets.compare_digest(expected, verifier)

    def invalidate_request_token(self, client_key, request_token, request):
        self.requests.pop(request_token, None)

    # Token credentials.
    def save_access_token(self, token, request):
        self.accesses[token["oauth_token"]] = (token["oauth_token_secret"], request.client_key)

    def validate_access_token(self, client_key, token, request):
        return self.accesses.get(token, ("", None))[1] == client_key

    def get_access_token_secret(self, client_key, token, request):
        return self.accesses.get(token, ("dummy", None))[0]

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True


class Vinyl:
    def __init__(self, url: str):
        self.validator = Validator()
        self.oauth = oauth1.WebApplicationServer(self.validator)
        self.calls: list[dict] = []
        parts = urllib.parse.urlsplit(url)

        class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
            daemon_threads = True

        class Quiet(wsgiref.simple_server.WSGIRequestHandler):
            def log_message(self, *_):
                pass

        self.server = Server((parts.hostname, parts.port), Quiet)
        self.server.set_app(self.app)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def forget_tokens(self):
        self.validator.accesses.clear()

    def app(self, environ, start):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        # As it came over the wire: the signature covers the encoded path and query.
        uri = f"http://{environ['HTTP_HOST']}{urllib.parse.quote(path.encode('latin-1'))}"
        if environ.get("QUERY_STRING"):
            uri += "?" + environ["QUERY_STRING"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        headers = {"Authorization": environ.get("HTTP_AUTHORIZATION", "")}
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        out, text, status = self.answer(method, path, uri, body, headers)
        reasons = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized"}
        start(f"{status} {reasons[status]}", list((out or {}).items()))
        return [(text or "").encode()]

    def answer(self, method, path, uri, body, headers):
        if path == "/oauth/request_token":
            return self.oauth.create_request_token_response(uri, method, body, headers)
        if path == "/oauth/access_token":
            answer = self.oauth.create_access_token_response(uri, method, body, headers, {"user_name": "DJ"})
            return answer
        if path == "/oauth/authorize":
            return self.authorize(method, uri, body)
        valid, request = self.oauth.validate_protected_resource_request(uri, method, body, headers, ["crates"])
        said = {"Content-Type": "application/json"}
        if not valid:
            return said, json.dumps({"message": "the signature is not right"}), 401
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(uri).query)
        call = {"method": method, "path": path, "query": query, "body": body}
        self.calls.append(call)
        return said, json.dumps({"records": [call]}), 200

    def authorize(self, method, uri, body):
        token = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(uri).query)).get("oauth_token", "")
        known = self.validator.requests.get(token)
        if known is None:
            return {"Content-Type": "text/plain"}, "unknown token", 400
        if method == "GET":
            page = (
                f"<form method=post action='/oauth/authorize?oauth_token={html.escape(token)}'>"
                "<button name=action value=allow>Allow</button><button name=action value=cancel>Cancel</button></form>"
            )
            return {"Content-Type": "text/html"}, page, 200
        if "cancel" in body:
            join = "&" if "?" in known["redirect"] else "?"
            return {"Location": f"{known['redirect']}{join}denied={token}"}, "", 302
        return self.oauth.create_authorization_response(uri, "POST", body, {}, ["crates"])
