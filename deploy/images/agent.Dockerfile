# The agent: docker build -f deploy/images/agent.Dockerfile -t trafficd-agent:0.1.0 .
# Pin it by its digest: --build-arg BASE=debian@sha256:...
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY deploy/images/requirements.txt ./
RUN python3 -m venv /opt/trafficd \
 && /opt/trafficd/bin/pip install --no-cache-dir -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY trafficd trafficd
COPY topology topology
COPY agents agents
# Of the controller's package the agent needs the generated messages alone.
RUN /opt/trafficd/bin/pip install --no-cache-dir --no-deps . \
 && /opt/trafficd/bin/pip check \
 && cd /opt/trafficd/lib/python3.11/site-packages \
 && find trafficd -mindepth 1 -maxdepth 1 ! -name api ! -name __init__.py ! -name py.typed -exec rm -rf {} + \
 && rm -rf networkx* lightkube* /opt/trafficd/bin/trafficd pip /opt/trafficd/bin/pip*

FROM ${BASE}
# libibumad and libibmad: lanes of InfiniBand ports are read back by management packets.
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 libibumad3 libibmad5 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/trafficd /opt/trafficd
ENV PATH=/opt/trafficd/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Root of the container: the manifests leave it NET_ADMIN and nothing else.
USER 0:0
EXPOSE 7602
ENTRYPOINT ["trafficd-agent"]
CMD ["run"]
