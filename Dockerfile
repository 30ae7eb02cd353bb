# The program is built in one image and run in another. `docker build -t patchbay .`
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src

# Third-party code first, over an empty crate: this layer is built anew only when the
# dependencies change.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir -p src tests/it \
    && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -rf src tests target/release/.fingerprint/patchbay-* target/release/deps/*patchbay-*

COPY config config
COPY migrations migrations
COPY templates templates
COPY toolkits toolkits
COPY src src
RUN mkdir -p tests/it && touch tests/it/main.rs \
    && cargo build --release --locked --bin patchbay

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin patchbay \
    && install -d -m 0700 -o patchbay -g patchbay /data
COPY --from=build /src/target/release/patchbay /usr/local/bin/patchbay
COPY LICENSE /usr/share/doc/patchbay/LICENSE

ENV PATCHBAY_LISTEN=0.0.0.0:9900 \
    PATCHBAY_DATA_DIR=/data
USER patchbay
VOLUME /data
EXPOSE 9900
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["patchbay", "health"]
ENTRYPOINT ["patchbay"]
CMD ["serve"]
