# Agent frameworks with the SDKs' provider packages, each in an environment of its own. Those of
# agents_default run always, the others (large, or slow to start) with --all.

agents_default="python/openai python/openai-agents python/anthropic python/langchain python/langgraph
    python/autogen python/gemini ts/openai ts/openai-agents ts/anthropic ts/vercel ts/mastra ts/google ts/llamaindex"
agents_wanted=""

agents_every() {
    local dir
    for dir in tests/agents/python/*/requirements.txt tests/agents/ts/*/package.json; do
        dir="$(dirname "${dir#tests/agents/}")"
        echo "$dir"
    done
}

# agents_install NAME: python/NAME or ts/NAME.
agents_install() {
    local language="${1%/*}" kind="${1#*/}" dir
    if [ "$language" = python ]; then
        venv "agents-$kind" "tests/agents/python/$kind/requirements.txt"
        return
    fi
    dir="agents/ts-$kind"
    npm_tree "$dir" "tests/agents/ts/$kind" &&
        cp tests/agents/ts/scripted.mjs tests/sdk/ts/hosts.mjs "$work/$dir/"
}

agents_run() {
    cd "$work/agents/harness" || return
    AGENTS="$*" CHROMIUM="$chromium" WORK="$work" ROOT="$root" LOGS="$run/agents" \
        "$node" --test --test-reporter=spec agents.test.mjs
    local status=$?
    cd "$root" && return "$status"
}

suite_agents() {
    local name ready=()
    step "Chromium" need_chromium || return
    step "agents: harness" npm_tree agents/harness tests/agents/harness || return
    step "providers and server" stack_start || return
    case "$agents_wanted" in
    "") agents_wanted="$agents_default" ;;
    all) agents_wanted="$(agents_every)" ;;
    esac
    # shellcheck disable=SC2086 # several names
    for name in $agents_wanted; do
        step "agents: packages of $name" agents_install "$name" && ready+=("$name")
    done
    [ ${#ready[@]} -gt 0 ] && step "agents" agents_run "${ready[@]}"
}
