# One image per service:  docker build --target synth -t orastream-synth .
# Targets: synth, ws_bridge, http_bridge, gateway, oraserver. All share the layers of `runtime`; on top of it each has
# the packages that only it needs, and the code.
#
# A package index of your own: --build-arg PIP_INDEX_URL=… (PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST), as pip reads them.
# The base image by its digest: --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
# No `syntax=` line on purpose: it would pull a frontend, and a build needs nothing but the base image and the index.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# ---- deps: the venv with what every service needs. The code is not here yet: its changes leave this cached.
# Each package is locked: pip refuses a file whose hash is not in deploy/locks. setuptools builds what has no wheel.
FROM ${PYTHON_IMAGE} AS deps
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_PYTHON=/opt/orastream/bin/python
WORKDIR /src
COPY deploy/locks/build.txt deploy/locks/runtime.txt locks/
RUN --mount=type=cache,target=/root/.cache/pip python -m venv --without-pip /opt/orastream \
    && pip install --no-deps --require-hashes -r locks/build.txt \
    && pip install --no-deps --require-hashes --no-build-isolation -r locks/runtime.txt \
    && pip uninstall --yes --quiet setuptools

# ---- what one service needs besides, as an overlay of the venv
FROM deps AS synth-packages
COPY deploy/locks/synth.txt locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --prefix=/overlay --no-deps --require-hashes -r locks/synth.txt \
    && find /overlay/lib -path '*/numpy/*' -type d -name tests -prune -exec rm -r {} +
# Further extras are not locked, but what is locked keeps its version. With PYTHONPATH pip sees that it is there.
ARG EXTRAS=
COPY pyproject.toml deploy/locks/requirements.py ./
RUN --mount=type=cache,target=/root/.cache/pip test -z "$EXTRAS" || { \
    python requirements.py . "$EXTRAS" > /tmp/requirements \
    && sed -n 's/^\([^ #]*==[^ ]*\) .*/\1/p' locks/runtime.txt locks/synth.txt > /tmp/constraints \
    && export PYTHONPATH=$(echo /overlay/lib/python*/site-packages) \
    && pip install --prefix=/overlay -c /tmp/constraints -r /tmp/requirements; }

FROM deps AS ws_bridge-packages
COPY deploy/locks/ws_bridge.txt locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --prefix=/overlay --no-deps --require-hashes -r locks/ws_bridge.txt

FROM deps AS http_bridge-packages
COPY deploy/locks/http_bridge.txt locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --prefix=/overlay --no-deps --require-hashes -r locks/http_bridge.txt

FROM deps AS gateway-packages
COPY deploy/locks/gateway.txt locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --prefix=/overlay --no-deps --require-hashes -r locks/gateway.txt

FROM deps AS oraserver-packages
COPY deploy/locks/oraserver.txt locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --prefix=/overlay --no-deps --require-hashes -r locks/oraserver.txt

# ---- code: the library and the services, the same for all; the CLI is not for images
FROM deps AS code
RUN --mount=type=cache,target=/root/.cache/pip pip install --no-deps --require-hashes -r locks/build.txt
COPY pyproject.toml .
COPY shared shared
COPY services services
RUN pip install --no-deps --no-build-isolation --prefix=/overlay ./shared . && rm -r /overlay/bin

# ---- runtime: what all images have in common
FROM ${PYTHON_IMAGE} AS runtime
RUN groupadd --gid 10001 orastream \
    && useradd --uid 10001 --gid orastream --no-create-home --home-dir /tmp --shell /usr/sbin/nologin orastream
COPY --from=deps /opt/orastream /opt/orastream
ENV PATH=/opt/orastream/bin:$PATH PYTHONUNBUFFERED=1 TTS_HOST=0.0.0.0
# The base image has no bytecode of the standard library, and nobody can write it later: compile what starting needs.
RUN python -c "import aiohttp.web, argparse, ctypes, multiprocessing.spawn, nats.aio.client, prometheus_client, \
pydantic_settings, structlog, uvloop, wave"
ENV PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
ARG PYTHON_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="orastream" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# ---- the images. Healthy is what can work: /readyz makes a NATS round trip.
FROM runtime AS synth
COPY --from=synth-packages /overlay /opt/orastream
COPY --from=code /overlay /opt/orastream
LABEL org.opencontainers.image.title="orastream synth" \
      org.opencontainers.image.description="Speaks the requests of the node and publishes the audio"
ENV TTS_HEALTH_PORT=9101
EXPOSE 9101
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=2s --retries=3 \
    CMD exec python -m orastream.service.probe "$TTS_HEALTH_PORT"
CMD ["python", "-m", "services.synth"]

FROM runtime AS ws_bridge
COPY --from=ws_bridge-packages /overlay /opt/orastream
COPY --from=code /overlay /opt/orastream
LABEL org.opencontainers.image.title="orastream ws_bridge" \
      org.opencontainers.image.description="Carries audio to OraServer over WebSocket"
ENV TTS_HEALTH_PORT=9102
EXPOSE 9102
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=2s --retries=3 \
    CMD exec python -m orastream.service.probe "$TTS_HEALTH_PORT"
CMD ["python", "-m", "services.ws_bridge"]

FROM runtime AS http_bridge
COPY --from=http_bridge-packages /overlay /opt/orastream
COPY --from=code /overlay /opt/orastream
LABEL org.opencontainers.image.title="orastream http_bridge" \
      org.opencontainers.image.description="Carries audio to OraServer as one POST per utterance"
ENV TTS_HEALTH_PORT=9103
EXPOSE 9103
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=2s --retries=3 \
    CMD exec python -m orastream.service.probe "$TTS_HEALTH_PORT"
CMD ["python", "-m", "services.http_bridge"]

FROM runtime AS gateway
COPY --from=gateway-packages /overlay /opt/orastream
COPY --from=code /overlay /opt/orastream
LABEL org.opencontainers.image.title="orastream gateway" \
      org.opencontainers.image.description="The front door of the node for HTTP callers and for tts.speak"
ENV GATEWAY_PORT=8000
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=2s --retries=3 \
    CMD exec python -m orastream.service.probe "$GATEWAY_PORT"
CMD ["python", "-m", "services.gateway"]

# The reference OraServer speaks no NATS: healthy is what answers.
FROM runtime AS oraserver
COPY --from=oraserver-packages /overlay /opt/orastream
COPY --from=code /overlay /opt/orastream
LABEL org.opencontainers.image.title="orastream oraserver" \
      org.opencontainers.image.description="The reference OraServer: receives speech and checks every rule of the protocol"
RUN install -d -o orastream -g orastream /data
ENV ORASERVER_PORT=8080 ORASERVER_DATA_DIR=/data
EXPOSE 8080
VOLUME /data
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=2s --retries=3 \
    CMD exec python -m orastream.service.probe "$ORASERVER_PORT" /healthz
CMD ["python", "-m", "services.oraserver"]
