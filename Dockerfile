# The command line in a container.
#
#   docker build --tag ctcfish .
#   docker build --tag ctcfish-cuda --build-arg DEVICE=cuda .
#   docker run --rm --volume "$PWD:/data" --user "$(id -u):$(id -g)" ctcfish score STUDY/SLIDE
#   docker run --rm --volume "$PWD:/data" --user "$(id -u):$(id -g)" --gpus all ctcfish-cuda score STUDY/SLIDE
#
# pip takes PyTorch's wheel from the index it is set to: on x86-64 Linux PyPI's holds the CUDA libraries, too. For a small
# image on machines without a GPU give the address of PyTorch's CPU wheels: --build-arg TORCH_INDEX=ADDRESS.

ARG DEVICE=cpu

FROM python:3.11.14-slim-bookworm AS wheel
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY ctcfish ctcfish
COPY models models
COPY configs configs
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11.14-slim-bookworm AS cpu
ARG TORCH_INDEX=""
ENV PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
WORKDIR /build
COPY constraints.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then \
        python -m pip install --no-cache-dir --constraint constraints.txt --index-url "$TORCH_INDEX" torch; \
    fi
COPY --from=wheel /wheels /wheels
RUN python -m pip install --no-cache-dir --constraint constraints.txt "$(ls /wheels/*.whl)[sign]" \
    && rm -r /wheels constraints.txt \
    && useradd --uid 10001 --no-create-home ctcfish
# Fonts and caches of libraries go where any user may write.
ENV HOME=/tmp MPLCONFIGDIR=/tmp

FROM cpu AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN python -c "import sys, torch; sys.exit(torch.version.cuda is None)"

# hadolint ignore=DL3006
FROM ${DEVICE}
WORKDIR /data
USER 10001:10001
ENTRYPOINT ["ctcfish"]
CMD ["--help"]
