# One image for the service, its workers and the migrations: the command decides.

FROM python:3.13.9-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/tuner
COPY requirements.lock ./
RUN /opt/tuner/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY tuner ./tuner
COPY api ./api
COPY migrations ./migrations
# pip has done its work: what runs needs no installer.
RUN /opt/tuner/bin/pip install --no-cache-dir --no-deps . \
    && /opt/tuner/bin/pip uninstall --yes pip \
    && /opt/tuner/bin/python -m compileall -q /opt/tuner

FROM python:3.13.9-slim-bookworm
LABEL org.opencontainers.image.title="Tuner" \
      org.opencontainers.image.description="Finds the learning rate and the number of steps for gradient descent" \
      org.opencontainers.image.version="0.1.0"
# Nothing is installed in a running container. Its two directories are owned by the user, so that volumes mounted there
# are too.
RUN pip uninstall --yes --root-user-action ignore pip \
    && useradd --create-home --uid 10001 --shell /usr/sbin/nologin tuner \
    && install --directory --owner tuner --group tuner /data /secrets
COPY --from=build /opt/tuner /opt/tuner
ENV PATH=/opt/tuner/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TUNER_HOST=0.0.0.0 \
    TUNER_PORT=8000 \
    TUNER_AUTHENTICATION=true \
    TUNER_LOG_FORMAT=json \
    TUNER_DATABASE_URL=sqlite:////data/tuner.db
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["tuner", "health"]
ENTRYPOINT ["tuner"]
CMD ["serve"]
