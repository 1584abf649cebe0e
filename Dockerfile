# The server's image. `docker build -t freehold .`
#
# Without an image registry, build on the base that `freehold image build --from debian` made:
#   docker build --build-arg BASE=freehold-sandbox:base -t freehold .
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS dependencies
USER root
# Where packages come from, for those who have an index of their own; a CA certificate that the
# index needs is put into certs/ as a .crt file.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
COPY requirements-server.lock certs* /usr/local/share/ca-certificates/
RUN update-ca-certificates \
 && export PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
 && python3 -m venv /opt/freehold \
 && /opt/freehold/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes -r /usr/local/share/ca-certificates/requirements-server.lock

FROM ${BASE}
USER root
COPY --from=dependencies /opt/freehold /opt/freehold
COPY server /opt/freehold/source/server
COPY migrations /opt/freehold/source/migrations
COPY sandbox_images /opt/freehold/source/sandbox_images
ENV PATH=/opt/freehold/bin:$PATH \
    PYTHONPATH=/opt/freehold/source/server \
    PYTHONUNBUFFERED=1 \
    FREEHOLD_DATA_DIR=/data
# Clones sessions' repositories; bases that Freehold made have it.
RUN command -v git >/dev/null \
 || (apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*)
RUN /opt/freehold/bin/python -m compileall -q /opt/freehold/source/server && mkdir -p /data
WORKDIR /data
VOLUME /data
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8787/healthz', timeout=2)"]
ENTRYPOINT ["python", "-m", "freehold"]
CMD ["serve"]
