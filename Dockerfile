# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/conch
COPY requirements.lock ./
RUN /opt/conch/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY . .
RUN /opt/conch/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data conch && install -d -o conch -g conch /data
COPY --from=build /opt/conch /opt/conch
ENV PATH="/opt/conch/bin:$PATH" \
    DATA_DIR=/data \
    PYTHONUNBUFFERED=1
USER conch
WORKDIR /data
# Everything that must survive: the database with its ledger, clips on their way, pictures of running tasks.
VOLUME /data
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["conch", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["conch"]
CMD ["run"]
