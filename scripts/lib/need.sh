# Finds what the tests need, or installs it, or says what to install.

die() {
    echo "$*" >&2
    failed=1
    exit 1
}

# want WHAT COMMAND DEBIAN-PACKAGES HINT: the command is there, or gets there with apt.
apt_updated=""
want() {
    local what="$1" found="$2" packages="$3" hint="$4"
    if $found; then return 0; fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "$what is missing: installing $packages"
        if [ -z "$apt_updated" ]; then
            apt-get update -q </dev/null >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; }
            apt_updated=1
        fi
        # shellcheck disable=SC2086 # several packages
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages \
            </dev/null >>"$work/apt.log" 2>&1 || tail -20 "$work/apt.log" >&2
        hash -r
        if $found; then return 0; fi
    fi
    echo "$what is missing: install it ($hint)" >&2
    return 1
}

has_rust() { command -v cargo >/dev/null && cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; }
has_nextest() { command -v cargo-nextest >/dev/null; }
need_rust() {
    has_rust || die "Rust with rustfmt and clippy is missing: install it (https://rustup.rs)"
    has_nextest || echo "cargo-nextest is missing: the Rust tests run with cargo test, which is slower."
}

has_postgres() {
    { command -v initdb && command -v pg_ctl; } >/dev/null && return
    ls /usr/lib/postgresql/*/bin/initdb /opt/homebrew/opt/postgresql*/bin/initdb >/dev/null 2>&1
}
need_postgres() {
    want PostgreSQL has_postgres postgresql \
        "Debian: apt install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql@17"
}

# The version of a Python that has venv and is new enough for every SDK under test.
python=""
has_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python="$candidate"
            return 0
        fi
    done
    return 1
}
need_python() {
    want "Python 3.11 or newer with venv" has_python "python3 python3-venv" \
        "Debian: apt install python3 python3-venv; Fedora: dnf install python3; macOS: brew install python@3.13"
}

has_npm() { command -v node >/dev/null && command -v npm >/dev/null; }
need_npm() {
    want "Node.js with npm" has_npm "nodejs npm" \
        "Debian: apt install nodejs npm; Fedora: dnf install nodejs; macOS: brew install node"
}

chromium=""
has_chromium() {
    local candidate
    for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" \
        /Applications/Chromium.app/Contents/MacOS/Chromium; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null; then
            chromium="$(command -v "$candidate")"
            return 0
        fi
    done
    return 1
}
need_chromium() {
    want Chromium has_chromium "chromium fonts-dejavu-core" \
        "Debian: apt install chromium; Fedora: dnf install chromium; macOS: brew install --cask chromium"
}

# venv NAME REQUIREMENTS: a virtual environment with exactly these packages; made anew when they
# change. Resolving is off, because the file is complete: every version in it is the one we test.
venv() {
    local dir="$work/venv/$1" requirements="$2"
    need_python || return
    if ! cmp -s "$requirements" "$dir/installed.txt"; then
        echo "Python packages of $requirements"
        rm -rf "$dir"
        "$python" -m venv "$dir" &&
            "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
                -r "$requirements" &&
            cp "$requirements" "$dir/installed.txt" || return
    fi
}

# npm_tree NAME FOLDER: copies the folder to target/acceptance/NAME, with the packages of its lock
# file beside it.
npm_tree() {
    local dir="$work/$1" from="$2"
    need_npm || return
    mkdir -p "$dir"
    cp -R "$from/." "$dir/" || return
    if ! cmp -s "$from/package-lock.json" "$dir/node_modules/.installed.json"; then
        echo "Node packages of $from"
        (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null) &&
            cp "$from/package-lock.json" "$dir/node_modules/.installed.json" || return
    fi
}

# A Node.js that is new enough for the emulators and for the newest SDK: the installed one, or the
# one that is among the npm packages of tests/providers.
node=""
need_node() {
    local candidate
    npm_tree providers tests/providers || return
    for candidate in node "$work"/providers/node_modules/node-linux-*/bin/node; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -e 'const [a, b] = process.versions.node.split(".").map(Number);
                process.exit(a > 22 || (a === 22 && b >= 22) ? 0 : 1)'; then
            node="$(command -v "$candidate")"
            return 0
        fi
    done
    echo "Node.js 22.22 or newer is missing: install it (https://nodejs.org; macOS: brew install node)" >&2
    return 1
}
