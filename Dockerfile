# One image for the service, its workers and the migrations: the command decides.
FROM python:3.13-slim-bookworm AS build

WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/tuner \
    && /opt/tuner/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY tuner ./tuner
COPY api ./api
COPY migrations ./migrations
RUN /opt/tuner/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim-bookworm

COPY --from=build /opt/tuner /opt/tuner
ENV PATH=/opt/tuner/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TUNER_HOST=0.0.0.0
RUN useradd --create-home --uid 10001 tuner
USER tuner
WORKDIR /home/tuner
EXPOSE 8000
ENTRYPOINT ["tuner"]
CMD ["serve"]
