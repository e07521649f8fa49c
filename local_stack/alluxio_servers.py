"""What every Alluxio server of this project is started with, on this machine as in containers.

Permissions are asked for, the audit log says who asked for what, and the proxy runs as a user who owns nothing.
Sources of the property names: Alluxio 2.9's `PropertyKey`.
"""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from local_stack.java import java_program

MAIN_CLASSES = {
    "master": "alluxio.master.AlluxioMaster",
    "worker": "alluxio.worker.AlluxioWorker",
    "proxy": "alluxio.proxy.AlluxioProxy",
    "job-master": "alluxio.master.AlluxioJobMaster",
    "job-worker": "alluxio.worker.AlluxioJobWorker",
}
FORMAT = "alluxio.cli.Format"
SHELL = "alluxio.cli.fs.FileSystemShell"
PROXY_USER = "warehouse-proxy"
"""The proxy's own user, who has no rights: its S3 acts as the user whom the access key names, all else as this one."""
PROXY_FOLDER = ".alluxio_s3_api_metadata"
PROXY_UPLOADS = f"/{PROXY_FOLDER}/uploads"
"""The folder that the proxy makes with its first answer, and may not: who starts the master makes it."""
HEAP = "512m"
"""Of each server, unless its own is set."""
ANY_KEY = "AWS4-HMAC-SHA256 Credential=any/20130601/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
"""What the proxy's S3 takes for a signature: it believes any."""

PROPERTIES: dict[str, object] = {
    # Memory only.
    "alluxio.user.file.writetype.default": "MUST_CACHE",
    "alluxio.proxy.s3.writetype": "MUST_CACHE",
    "alluxio.worker.tieredstore.levels": 1,
    "alluxio.worker.tieredstore.level0.alias": "MEM",
    "alluxio.master.metastore": "HEAP",
    # Who may read what, and who did.
    "alluxio.security.authorization.permission.enabled": "true",
    "alluxio.security.authorization.permission.umask": "022",
    "alluxio.master.audit.logging.enabled": "true",
    # Lost memory is found in seconds instead of five minutes.
    "alluxio.user.block.read.retry.max.duration": "10sec",
    "alluxio.master.worker.timeout": "30sec",
    "alluxio.master.lost.worker.detection.interval": "5sec",
    "alluxio.user.rpc.retry.max.sleep": "500ms",
    "alluxio.master.update.check.enabled": "false",
    "alluxio.user.metrics.collection.enabled": "false",
}
"""Of every cluster; where its folders and addresses are is each one's own."""

COPYING: dict[str, object] = {
    # A lost copy is made again in seconds instead of a minute or more. But a lost host's job worker has to be given up
    # before its worker: a copy that is asked of it is not asked of another, ever (2.9.4).
    "alluxio.master.replication.check.interval": "5sec",
    "alluxio.job.master.worker.timeout": "5sec",
    "alluxio.job.master.lost.worker.interval": "1sec",
}
"""Of a cluster of several workers, whose job service copies blocks."""

_LOG4J = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1.} - %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""
# Of the master alone: several processes cannot roll one file. Path, user, command and outcome of each request.
_AUDIT_LOG4J = """\
appender.audit.type = RollingFile
appender.audit.name = audit
appender.audit.fileName = {file}
appender.audit.filePattern = {file}.%i
appender.audit.layout.type = PatternLayout
appender.audit.layout.pattern = %d{{ISO8601}} %m%n
appender.audit.policies.type = Policies
appender.audit.policies.size.type = SizeBasedTriggeringPolicy
appender.audit.policies.size.size = 20MB
appender.audit.strategy.type = DefaultRolloverStrategy
appender.audit.strategy.max = 10
logger.audit.name = AUDIT_LOG
logger.audit.level = info
logger.audit.additivity = false
logger.audit.appenderRef.audit.ref = audit
"""
_MASTER_LOG4J = "log4j2-master.properties"
_PAGE = 1000


def write_configuration(folder: Path, properties: dict[str, object], jars: Iterable[Path], audit_log: Path) -> None:
    """Write the site's properties, the logging and the class path into ``folder``, which is there.

    :param audit_log: file in which the master says who asked for what.
    """
    lines = (f"{key}={value}" for key, value in properties.items())
    (folder / "alluxio-site.properties").write_text("\n".join(lines) + "\n")
    (folder / "log4j2.properties").write_text(_LOG4J)
    (folder / _MASTER_LOG4J).write_text(_LOG4J + _AUDIT_LOG4J.format(file=audit_log))
    # In a fixed order: a wildcard's order is the file system's, and some classes are in two jars.
    class_path = os.pathsep.join(map(str, [folder, *sorted(jars)]))
    _class_path_file(folder).write_text(f'-cp "{class_path}"\n')


def rest_answer(url: str, *, timeout: float = 5) -> Any:
    """What a REST interface answers. ``timeout``: seconds. :raises OSError: it does not answer."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - http
        return json.load(answer)


def master_answer(web: str, what: str, *, timeout: float = 5, **query: str | int) -> Any:
    """An answer of the REST interface of Alluxio's master.

    :param web: address of its web server, or those of several masters, of which the leader answers, with commas.
    :param timeout: seconds, for each of them.
    :raises OSError: none answers.
    """
    *others, last = (f"{address}/api/v1/master/{what}?{urllib.parse.urlencode(query)}" for address in web.split(","))
    for url in others:
        with suppress(OSError):
            return rest_answer(url, timeout=timeout)
    return rest_answer(last, timeout=timeout)


def files_below(ask: Callable[..., Any], folder: str) -> Iterator[dict[str, Any]]:
    """Every file in ``folder`` of the store and below. ``ask``: :func:`master_answer` of a master, or alike."""
    for entry in ask("webui_browse", path=folder, offset=0, limit=_PAGE)["fileInfos"]:
        if entry["isDirectory"]:
            yield from files_below(ask, entry["absolutePath"])
        else:
            yield entry


def has_proxy_folder(web: str) -> bool:
    """Whether the store has the folder of :data:`PROXY_UPLOADS`; arguments and errors of :func:`master_answer`."""
    listed = master_answer(web, "webui_browse", path="/", offset=0, limit=100)
    return any(entry["name"] == PROXY_FOLDER for entry in listed.get("fileInfos") or ())


def own_options(server: str, configuration: Path) -> list[str]:
    """Options of the JVM of one kind of server alone; the last of two values of a property counts."""
    match server:
        case "master":
            return [f"-Dlog4j2.configurationFile={configuration / _MASTER_LOG4J}"]
        case "proxy":
            return [f"-Dalluxio.security.login.username={PROXY_USER}"]
        case _:
            return []


def command(
    main_class: str, *arguments: str, configuration: Path, home: Path, temporary: Path, logs: Path, native: Path,
    heap: str = HEAP, options: Sequence[str] = (),
) -> list[str | Path]:  # fmt: skip
    """How a server, or a command of Alluxio, is started.

    :param configuration: folder of :func:`write_configuration`.
    :param temporary: folder in memory for temporary files.
    :param options: more for its JVM, as properties of this process only.
    :param native: folder for the libraries that Netty unpacks; not mounted ``noexec``.
    """
    return [
        java_program(), f"-Xmx{heap}", "-XX:+UseSerialGC",
        f"-Djava.io.tmpdir={temporary}", f"-Dio.netty.native.workdir={native}",
        f"-Dalluxio.home={home}", f"-Dalluxio.conf.dir={configuration}", f"-Dalluxio.site.conf.dir={configuration}",
        f"-Dalluxio.logs.dir={logs}", f"-Dlog4j2.configurationFile={configuration}/log4j2.properties",
        "-XX:-UsePerfData", *options,
        f"@{_class_path_file(configuration)}", main_class, *arguments,
    ]  # fmt: skip


def _class_path_file(configuration: Path) -> Path:
    return configuration / "class-path"
