"""Projects and keys, over plain HTTP."""

import httpx
import pytest
import support


def error_of(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["status"] == status
    assert isinstance(error["message"], str) and error["message"]
    assert isinstance(error["code"], int)
    assert error["request_id"] == answer.headers["x-request-id"]
    return error


def with_key(env, key):
    return httpx.Client(base_url=env.base, headers={"x-api-key": key}, timeout=30)


def test_a_new_project_has_a_key_that_works_at_once(env, new_project):
    project = new_project()
    assert project["id"] and project["name"] and project["api_key"].startswith("ak_")
    with with_key(env, project["api_key"]) as client:
        assert client.get("/api/v3/auth_configs").status_code == 200
        assert client.get("/api/v3.1/auth_configs").status_code == 200


def test_the_list_of_projects_pages_under_data(org, new_project):
    mine = {new_project()["id"] for _ in range(3)}
    first = org.get("/api/v3/org/owner/project/list", params={"limit": 2}).json()
    assert len(first["data"]) == 2
    for key in ("total_pages", "current_page", "total_items", "next_cursor"):
        assert key in first
    assert "items" not in first
    seen, cursor = set(), None
    for _ in range(first["total_pages"] + 1):
        page = org.get(
            "/api/v3/org/owner/project/list",
            params={"limit": 2, **({"cursor": cursor} if cursor else {})},
        ).json()
        ids = [p["id"] for p in page["data"]]
        assert not seen & set(ids), "a page repeats a project"
        seen |= set(ids)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert cursor is None and mine <= seen and len(seen) == first["total_items"]


def test_a_project_is_read_with_its_keys_and_an_unknown_one_is_404(org, new_project):
    project = new_project()
    body = org.get(f"/api/v3/org/owner/project/{project['id']}").json()
    assert body["id"] == project["id"] and len(body["api_keys"]) == 1
    error_of(org.get("/api/v3/org/owner/project/proj_doesnotexist"), 404)


def test_a_regenerated_key_replaces_the_old_one_within_a_second(env, org, new_project):
    project = new_project()
    with with_key(env, project["api_key"]) as old:
        assert old.get("/api/v3/auth_configs").status_code == 200
        answer = org.post(f"/api/v3/org/owner/project/{project['id']}/regenerate_api_key")
        assert answer.status_code == 200, answer.text
        key = answer.json()["api_key"]["key"]
        assert key != project["api_key"]
        with with_key(env, key) as new:
            assert new.get("/api/v3/auth_configs").status_code == 200
        support.until(lambda: old.get("/api/v3/auth_configs").status_code == 401, 1)


def test_the_key_of_a_deleted_project_is_refused_and_the_list_omits_it(env, org, new_project):
    project = new_project()
    with with_key(env, project["api_key"]) as client:
        assert client.get("/api/v3/auth_configs").status_code == 200
        assert org.delete(f"/api/v3/org/owner/project/{project['id']}").status_code == 200
        support.until(lambda: client.get("/api/v3/auth_configs").status_code == 401, 1)
    listed = org.get("/api/v3/org/owner/project/list", params={"limit": 1000}).json()["data"]
    assert project["id"] not in [p["id"] for p in listed]
    error_of(org.get(f"/api/v3/org/owner/project/{project['id']}"), 404)


def test_the_project_config_is_changed_and_kept_and_an_unknown_value_is_refused(env, new_project):
    with with_key(env, new_project()["api_key"]) as client:
        path = "/api/v3/org/project/config"
        assert client.get(path).json()["mask_secret_keys_in_connected_account"] is True
        changed = client.patch(path, json={"mask_secret_keys_in_connected_account": False})
        assert changed.status_code == 200, changed.text
        assert client.get(path).json()["mask_secret_keys_in_connected_account"] is False
        error_of(client.patch(path, json={"log_visibility_setting": "sometimes"}), 400)
        error_of(client.patch(path, json={"mask_secret_keys_in_connected_account": "maybe"}), 400)
        assert client.get(path).json()["mask_secret_keys_in_connected_account"] is False


def test_ids_of_another_project_are_404_everywhere(env, http, new_project):
    config = http.post(
        "/api/v3/auth_configs",
        json={"toolkit": {"slug": "acme"}, "auth_config": {"type": "use_custom_auth", "authScheme": "API_KEY"}},
    ).json()["auth_config"]["id"]
    account = http.post(
        "/api/v3/connected_accounts",
        json={
            "auth_config": {"id": config},
            "connection": {
                "user_id": "victim",
                "state": {"authScheme": "API_KEY", "val": {"status": "ACTIVE", "api_key": "acme-key-1"}},
            },
        },
    ).json()["id"]
    log = http.post(
        "/api/v3/tools/execute/ACME_WHO_AM_I", json={"user_id": "victim", "arguments": {}}
    ).json()["log_id"]
    with with_key(env, new_project()["api_key"]) as other:
        for prefix in ("/api/v3", "/api/v3.1"):
            for method, path, body in (
                ("GET", f"auth_configs/{config}", None),
                ("PATCH", f"auth_configs/{config}", {"type": "custom", "credentials": {}}),
                ("PATCH", f"auth_configs/{config}/disabled", None),
                ("DELETE", f"auth_configs/{config}", None),
                ("GET", f"connected_accounts/{account}", None),
                ("PATCH", f"connected_accounts/{account}/status", {"enabled": False}),
                ("POST", f"connected_accounts/{account}/refresh", None),
                ("DELETE", f"connected_accounts/{account}", None),
                ("POST", "connected_accounts/link", {"auth_config_id": config, "user_id": "thief"}),
                ("POST", "connected_accounts", {"auth_config": {"id": config}, "connection": {"user_id": "thief"}}),
                ("GET", f"internal/action_execution/log/{log}", None),
                (
                    "POST",
                    "tools/execute/ACME_WHO_AM_I",
                    {"user_id": "victim", "connected_account_id": account, "arguments": {}},
                ),
                (
                    "POST",
                    "tools/execute/proxy",
                    {"connected_account_id": account, "endpoint": "/me", "method": "GET"},
                ),
            ):
                path = path.replace("/disabled", "/DISABLED")
                answer = other.request(method, f"{prefix}/{path}", json=body)
                assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text}"
                error_of(answer, 404)
        # By user id alone the other project finds nothing.
        mine = other.post("/api/v3/tools/execute/ACME_WHO_AM_I", json={"user_id": "victim", "arguments": {}})
        assert error_of(mine, 400)["code"] == 1803
    assert http.get(f"/api/v3/connected_accounts/{account}").json()["status"] == "ACTIVE"
    assert http.get(f"/api/v3/auth_configs/{config}").json()["status"] == "ENABLED"


@pytest.mark.parametrize("prefix", ["/api/v3", "/api/v3.1"])
def test_a_missing_wrong_or_misplaced_key_is_refused(env, project, prefix):
    with httpx.Client(base_url=env.base) as client:
        assert error_of(client.get(f"{prefix}/toolkits"), 401)["slug"] == "HTTP_Unauthorized"
        error_of(client.get(f"{prefix}/toolkits", headers={"x-api-key": "ak_wrong"}), 401)
        error_of(client.get(f"{prefix}/auth_configs", headers={"x-org-api-key": env.org_key}), 401)
        answer = client.get(f"{prefix}/org/owner/project/list", headers={"x-api-key": project["api_key"]})
        assert answer.status_code in (401, 403)
        error_of(answer, answer.status_code)


def test_the_session_info_names_the_project(env, http, project):
    info = http.get("/api/v3/auth/session/info")
    assert info.status_code == 200, info.text
    assert info.json()["project"]["nano_id"] == project["id"]
    with with_key(env, env.project_key) as first:
        assert first.get("/api/v3/auth/session/info").status_code == 200
