# An image that runs `tracer` on the processor; with `--build-arg DEVICE=cuda` also on CUDA. docs/containers.md says how to use it.
FROM node:20-bookworm-slim AS package
WORKDIR /source
COPY package.json package-lock.json ./
RUN npm ci
COPY CHANGELOG.md LICENSE README.md tsconfig.json vite.config.ts ./
COPY bin bin
COPY configs configs
COPY deploy deploy
COPY docs docs
COPY native native
COPY page page
COPY src src
RUN npm pack --pack-destination=/tmp

# Compiler, Python and pip stay behind in this stage.
FROM node:20-bookworm-slim AS setup
ARG DEVICE=cpu
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates g++ python3-pip
COPY --from=package /tmp/tracer-*.tgz /tmp/
RUN npm install --global /tmp/tracer-*.tgz
ENV TRACER_DATA_DIR=/opt/tracer
RUN tracer setup --device cpu
RUN if [ "$DEVICE" = cuda ]; then tracer setup --device cuda --without-driver; fi

FROM node:20-bookworm-slim
COPY --from=setup /usr/local/lib/node_modules/tracer /usr/local/lib/node_modules/tracer
COPY --from=setup /opt/tracer /opt/tracer
# Whoever runs the container may write here: as root, as the user of a rootless engine, or with --user.
RUN ln -s ../lib/node_modules/tracer/bin/tracer.js /usr/local/bin/tracer && install -d -m 1777 /cache /home/tracer /work
ENV TRACER_DATA_DIR=/opt/tracer TRACER_LABELS_DIR=/home/tracer/labels HF_HOME=/cache HOME=/home/tracer
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
ENTRYPOINT ["tracer"]
CMD ["--help"]
