# The controller: docker build -f deploy/images/controller.Dockerfile -t trafficd-controller:0.1.0 .
# Pin it by its digest: --build-arg BASE=debian@sha256:...
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY deploy/images/requirements.txt ./
# What is installed is pinned, and installed before the source, so that a change of the source does not install it anew.
RUN python3 -m venv /opt/trafficd \
 && /opt/trafficd/bin/pip install --no-cache-dir -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY trafficd trafficd
COPY topology topology
COPY agents agents
RUN /opt/trafficd/bin/pip install --no-cache-dir --no-deps . \
 && /opt/trafficd/bin/pip check \
 && rm -rf /opt/trafficd/lib/python3.11/site-packages/trafficd_agent /opt/trafficd/bin/trafficd-agent \
      /opt/trafficd/lib/python3.11/site-packages/pip /opt/trafficd/bin/pip*

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/trafficd /opt/trafficd
ENV PATH=/opt/trafficd/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Not root, and nobody else's number.
USER 65532:65532
EXPOSE 7600 7601 7603
ENTRYPOINT ["trafficd"]
CMD ["serve"]
