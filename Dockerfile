# syntax=docker/dockerfile:1
# docker build -t selfmemory-server .
#
# On Linux the package index offers torch with CUDA libraries, several GB that a server without a GPU never uses. To
# leave them out, name the index of CPU builds from PyTorch's install page:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=… -t selfmemory-server .

FROM python:3.11-slim AS build
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL
WORKDIR /app
RUN python -m venv .venv
COPY pyproject.toml constraints.txt README.md ./
# what changes seldom first: torch by its exact version, then everything else that the project names
RUN .venv/bin/pip install "$(grep '^torch==' constraints.txt)"
# the version is read from here
COPY server/__init__.py server/
RUN mkdir oauth tools rest && .venv/bin/pip install -c constraints.txt -e .
COPY . .
# the model is made ready beside the installation, so that a container starts at once and without network
RUN .venv/bin/python -m server prepare-model

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin selfmemory \
 && install -d -o selfmemory -g selfmemory /data
COPY --from=build /app /app
WORKDIR /app
# 0.0.0.0 is inside the container: what is published is decided outside. Behind a proxy also set
# SELFMEMORY_PUBLIC_URL=https://…, SELFMEMORY_SECRET_KEY and SELFMEMORY_TRUSTED_PROXIES.
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 SELFMEMORY_HOST=0.0.0.0 SELFMEMORY_PORT=8081 SELFMEMORY_DATA_DIR=/data
USER selfmemory
VOLUME /data
EXPOSE 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD \
  ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['SELFMEMORY_PORT'] + '/health/live', timeout=4)"]
ENTRYPOINT ["python", "-m", "server"]
