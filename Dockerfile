# Two targets: `cpu`, the default, and `gpu`, with the CUDA libraries.
#
#     docker build --tag vae_prod .
#     docker build --tag vae_prod:gpu --target gpu .
FROM python:3.11-slim-bookworm AS base

# The input op is compiled, here and where another user or TensorFlow runs it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/vae_prod
COPY constraints.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement constraints.txt
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY pipelines ./pipelines
COPY vae_prod ./vae_prod
COPY tools ./tools
RUN pip install --no-cache-dir --no-deps .

RUN useradd --create-home --uid 1000 trainer \
    && mkdir /data && chown trainer /data
WORKDIR /data
CMD ["vae-prod-train", "--help"]

FROM base AS gpu
RUN pip install --no-cache-dir "/opt/vae_prod[cuda]"
USER trainer
RUN vae-prod-build-ops

FROM base AS cpu
USER trainer
RUN vae-prod-build-ops
