# Every image of docker-compose.yaml. Only BASE is pulled; everything else comes from packages of Debian and PyPI.
# Without an image registry, an image made by debootstrap and imported works as BASE.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS postgres
RUN mkdir -p /etc/postgresql-common \
    && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && install --directory --owner=postgres --group=postgres --mode=0700 /var/lib/postgresql/data
COPY setup/compose/postgres.sh /usr/local/bin/start-postgres
USER postgres
STOPSIGNAL SIGINT
CMD ["start-postgres"]

FROM ${BASE} AS redis
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
USER redis
WORKDIR /tmp
# It holds only tasks that wait for a worker, and the scheduler queues those again: nothing is kept on disk.
CMD ["sh", "-c", "exec redis-server --bind 0.0.0.0 --save '' --requirepass \"$REDIS_PASSWORD\""]

# Airflow, Packer, Terraform and the embedded cloud in one image, which serves every other service.
FROM ${BASE} AS rebake
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates openssh-client packer python3 python3-venv tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && useradd --system --create-home --home-dir /var/lib/rebake rebake \
    && install --directory --owner=rebake --group=rebake /var/lib/rebake/airflow /var/lib/rebake/airflow/logs

WORKDIR /rebake
# The same scripts as `make setup`, so that versions and checksums are in one file. The secret holds the certificates
# that the building machine trusts, for networks whose proxy signs with its own. Tools that only check code stay out.
COPY requirements.lock ./
COPY setup/lib.sh setup/venv.sh setup/versions.env setup/
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi \
    && setup/venv.sh \
    && .rebake/uv/bin/uv pip uninstall --quiet --python .venv/bin/python mypy playwright ruff \
    && rm -rf .rebake/cache .rebake/uv
COPY setup/tools.sh setup/terraform-shim.py setup/
RUN setup/tools.sh
ENV PATH=/rebake/.rebake/bin:/rebake/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/var/lib/rebake \
    AIRFLOW_HOME=/var/lib/rebake/airflow \
    PYTHONPATH=/rebake/plugins:/rebake \
    REBAKE_HOME=/rebake \
    REBAKE_WORK=/var/lib/rebake/work \
    TF_CLI_CONFIG_FILE=/rebake/.rebake/terraform/terraform.rc \
    CHECKPOINT_DISABLE=1 \
    PYTHONUNBUFFERED=1
COPY config config
COPY dags dags
COPY infrastructure infrastructure
COPY localcloud localcloud
COPY packer packer
COPY plugins plugins
COPY setup/compose setup/compose
USER rebake
# It passes signals on, and reaps processes that a tool leaves behind.
ENTRYPOINT ["tini", "--"]
