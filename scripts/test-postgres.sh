# Source this: it exports TEST_DATABASE_URL, the maintenance database of a
# PostgreSQL cluster for tests, and starts one when there is none. The cluster
# listens on a unix socket only, keeps nothing safe (fsync off), and is reused by
# later runs of the same user. `test_postgres_stop` ends it.

test_postgres_dir="${TEST_POSTGRES_DIR:-${TMPDIR:-/tmp}/patchbay-test-postgres-$(id -u)}"

test_postgres_bin() {
    if command -v initdb >/dev/null && command -v pg_ctl >/dev/null; then
        dirname "$(command -v initdb)"
        return
    fi
    local dir
    for dir in $(ls -d /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin 2>/dev/null | sort -Vr); do
        if [ -x "$dir/initdb" ]; then
            echo "$dir"
            return
        fi
    done
    return 1
}

# PostgreSQL refuses to run as root: drop to the account that its package made.
test_postgres_as() {
    if [ "$(id -u)" = 0 ]; then
        local user=nobody
        getent passwd postgres >/dev/null && user=postgres
        (cd / && exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@")
    else
        "$@"
    fi
}

test_postgres_start() {
    local bin
    bin="$(test_postgres_bin)" || {
        echo "No PostgreSQL found: install it (Debian: apt install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql@17)" >&2
        return 1
    }
    export TEST_DATABASE_URL="postgres:///postgres?host=$test_postgres_dir&user=postgres"
    # One starter at a time: several test runs may begin together.
    (
        flock 9
        if [ -f "$test_postgres_dir/data/postmaster.pid" ] &&
            test_postgres_as "$bin/pg_ctl" -D "$test_postgres_dir/data" status >/dev/null 2>&1; then
            [ ! -S "$test_postgres_dir/.s.PGSQL.5432" ] || exit 0
            # Somebody cleaned up temporary files: without its socket it is of no use.
            test_postgres_as "$bin/pg_ctl" -D "$test_postgres_dir/data" -m immediate stop >/dev/null
        fi
        rm -rf "$test_postgres_dir"
        mkdir -p "$test_postgres_dir"
        [ "$(id -u)" != 0 ] || chown "$(getent passwd postgres >/dev/null && echo postgres || echo nobody)" "$test_postgres_dir"
        test_postgres_as "$bin/initdb" -D "$test_postgres_dir/data" -U postgres -A trust -E UTF8 \
            --locale=C --no-sync >"$test_postgres_dir.log" 2>&1 &&
            test_postgres_as "$bin/pg_ctl" -D "$test_postgres_dir/data" -w -l "$test_postgres_dir/log" \
                -o "-k $test_postgres_dir -c listen_addresses='' -c fsync=off -c synchronous_commit=${TEST_POSTGRES_COMMIT:-off} -c full_page_writes=off -c max_connections=400" \
                start 9>&- >>"$test_postgres_dir.log" 2>&1 || {
            cat "$test_postgres_dir.log" >&2
            exit 1
        }
    ) 9>"$test_postgres_dir.lock"
}

# Crashes the cluster and starts it again.
test_postgres_restart() {
    test_postgres_as "$(test_postgres_bin)/pg_ctl" -D "$test_postgres_dir/data" -m immediate -w \
        -l "$test_postgres_dir/log" restart >/dev/null
}

test_postgres_stop() {
    local bin
    bin="$(test_postgres_bin)" || return 0
    [ ! -d "$test_postgres_dir/data" ] ||
        test_postgres_as "$bin/pg_ctl" -D "$test_postgres_dir/data" -m immediate stop >/dev/null 2>&1
    rm -rf "$test_postgres_dir"
}

[ -n "${TEST_DATABASE_URL:-}" ] || test_postgres_start
