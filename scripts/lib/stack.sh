# The server under test with its providers: started once, by the first suite that needs it, and
# stopped when scripts/test ends.

stack_pids=()
stack_data=()
database=""
run="$root/target/run"

free_port() {
    "$node" -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => {
        console.log(s.address().port); s.close(); })'
}

# server NAME PORT [VARIABLE=VALUE...]: one server with a data directory of its own, ready to answer.
server() {
    local name="$1" port="$2" data pid tries
    shift 2
    data="$(mktemp -d "${TMPDIR:-/tmp}/patchbay-$name.XXXXXX")" || return
    stack_data+=("$data")
    # Nothing of the caller's own settings: only what stands here.
    (
        for variable in $(compgen -e PATCHBAY_); do unset "$variable"; done
        exec env PATCHBAY_LISTEN="127.0.0.1:$port" PATCHBAY_DATA_DIR="$data" \
            PATCHBAY_ORG_API_KEY="$ORG_API_KEY" PATCHBAY_PROJECT_API_KEY="$PROJECT_API_KEY" \
            PATCHBAY_PROVIDERS_FILE="$run/$name/providers.yaml" \
            PATCHBAY_TOOLKITS_DIR="$run/$name/toolkits" \
            PATCHBAY_EGRESS_ALLOW=localhost,127.0.0.0/8 \
            PATCHBAY_RATE_LIMIT=1000000 "$@" "$root/target/debug/patchbay"
    ) </dev/null >"$run/$name.log" 2>&1 &
    pid=$!
    stack_pids+=("$pid")
    for ((tries = 0; tries < 600; tries++)); do
        if "$node" -e 'fetch(process.argv[1]).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))' \
            "http://127.0.0.1:$port/health/ready"; then
            return 0
        fi
        if ! kill -0 "$pid" 2>/dev/null; then break; fi
        sleep 0.2
    done
    echo "The server did not start; the end of its log ($run/$name.log):" >&2
    tail -30 "$run/$name.log" >&2
    return 1
}

# providers NAME PORT: the providers, with this server's redirect URI at their OAuth clients.
providers() {
    local name="$1" port="$2" tries
    mkdir -p "$run/$name"
    (cd "$work/providers" && exec "$node" start.mjs --out "$run/$name" \
        --callback "http://127.0.0.1:$port/api/v3/toolkits/auth/callback" \
        --catalogue "$root/toolkits") \
        </dev/null >"$run/$name/providers.log" 2>&1 &
    stack_pids+=("$!")
    for ((tries = 0; tries < 300; tries++)); do
        if grep -qs '^ready$' "$run/$name/providers.log"; then return 0; fi
        if ! kill -0 "${stack_pids[-1]}" 2>/dev/null; then break; fi
        sleep 0.2
    done
    echo "The providers did not start:" >&2
    cat "$run/$name/providers.log" >&2
    return 1
}

stack_up=""
stack_start() {
    [ -z "$stack_up" ] || return 0
    local port short
    need_node && need_postgres || return
    echo "Building the server"
    cargo build --locked --quiet || return
    rm -rf "$run"
    mkdir -p "$run"
    ORG_API_KEY="ok_$(random_text)"
    PROJECT_API_KEY="ak_$(random_text)"
    port="$(free_port)" && short="$(free_port)" || return
    export ORG_API_KEY PROJECT_API_KEY
    export BASE_URL="http://127.0.0.1:$port" SHORT_URL="http://127.0.0.1:$short"
    providers main "$port" && server main "$port" || return
    # A second server that gives people two seconds to connect, on a database of the machine's.
    # shellcheck source=scripts/test-postgres.sh
    source "$root/scripts/test-postgres.sh" || return
    mkdir -p "$run/short" && cp -r "$run/main/providers.yaml" "$run/main/toolkits" "$run/short/" || return
    PSQL="$(test_postgres_bin)/psql"
    [ -x "$PSQL" ] || PSQL=psql
    export PSQL
    database="acceptance_$$"
    psql_admin -c "create database $database" || return
    SHORT_DATABASE_URL="${TEST_DATABASE_URL/\/postgres?/\/$database?}"
    REALTIME_TLS_PORT="$(free_port)" || return
    REALTIME_LABEL=patchbay-test
    export SHORT_DATABASE_URL REALTIME_TLS_PORT REALTIME_LABEL
    server short "$short" PATCHBAY_CONNECT_TTL_S=2 PATCHBAY_DATABASE_URL="$SHORT_DATABASE_URL" \
        PATCHBAY_REALTIME_HOST="localhost:$REALTIME_TLS_PORT" \
        PATCHBAY_REALTIME_CLUSTER="$REALTIME_LABEL" || return
    # shellcheck source=/dev/null
    source "$run/main/env"
    stack_up=1
}

# A server with the tools that the MCP conformance suite calls, and nothing else.
mcp_up=""
mcp_start() {
    [ -z "$mcp_up" ] || return 0
    local port
    need_node && need_postgres || return
    echo "Building the server"
    cargo build --locked --quiet || return
    mkdir -p "$run/mcp"
    : "${ORG_API_KEY:=ok_$(random_text)}" "${PROJECT_API_KEY:=ak_$(random_text)}"
    port="$(free_port)" && MCP_PROVIDER_PORT="$(free_port)" || return
    export ORG_API_KEY PROJECT_API_KEY MCP_PROVIDER_PORT
    export MCP_URL="http://127.0.0.1:$port"
    "$node" --input-type=module -e \
        'const { toolkit } = await import(process.argv[1]); toolkit(process.argv[2], process.argv[3]);' \
        "$root/tests/mcp/fixtures.mjs" "$run/mcp/toolkits" "$MCP_PROVIDER_PORT" || return
    server mcp "$port" PATCHBAY_PROVIDERS_FILE= || return
    mcp_up=1
}

random_text() { "$node" -e 'console.log(require("crypto").randomBytes(18).toString("hex"))'; }

psql_admin() {
    "$PSQL" -qX "$TEST_DATABASE_URL" "$@"
}

stack_stop() {
    local pid tries dir
    for pid in "${stack_pids[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${stack_pids[@]}"; do
        for ((tries = 0; tries < 100; tries++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        if kill -0 "$pid" 2>/dev/null; then
            echo "process $pid did not stop in ten seconds" >&2
            failed=1
            kill -KILL "$pid" 2>/dev/null
        fi
    done
    [ -z "$database" ] || psql_admin -c "drop database if exists $database with (force)"
    for dir in "${stack_data[@]}"; do rm -rf "$dir"; done
    stack_pids=() stack_data=() database=""
}
