# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
RUN python -m venv /opt/conch
COPY requirements.lock ./
RUN /opt/conch/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data conch && install -d -o conch -g conch /data
COPY --from=build /opt/conch /opt/conch
# The code runs as it lies here: nothing is built, so the hashes of the lock file cover all that is fetched.
COPY bot /app/bot
COPY cogs /app/cogs
COPY storage /app/storage
COPY --chmod=755 <<"EOF" /usr/local/bin/conch
#!/bin/sh
exec /opt/conch/bin/python -m bot "$@"
EOF
# The port is the health check's, which asks /healthz there; nothing is published.
ENV PYTHONPATH=/app \
    DATA_DIR=/data \
    HTTP_PORT=8080 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER conch
WORKDIR /data
# Everything that must survive: the database with its ledger, clips on their way, pictures of running tasks.
VOLUME /data
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["conch", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["conch"]
CMD ["run"]
