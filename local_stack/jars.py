"""The jars: resolved once into ``jars.lock``, downloaded by the Ivy that pyspark ships, kept in a per-user cache.

A machine needs neither Maven nor a resolution: the lock names every file with its SHA-256, so that a download is one
request per jar, several at a time (19 s for 305 jars), where Ivy's own resolution of Alluxio's modules takes 150 to
220 s.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from local_stack import versions
from local_stack.errors import StackError

LOCK = Path(__file__).with_name("jars.lock")
SETS = ("spark", "alluxio")
PARALLEL_DOWNLOADS = 6
REPOSITORY_VARIABLE = "WAREHOUSE_MAVEN_REPOSITORY"
"""Environment variable that names a mirror of Maven Central."""
_MAVEN_NAMESPACE = "http://ant.apache.org/ivy/maven"


@dataclass(frozen=True, order=True)
class Jar:
    """One file of a Maven repository; ``sha256`` is hexadecimal."""

    organisation: str
    module: str
    revision: str
    classifier: str = ""
    sha256: str = ""

    @property
    def coordinates(self) -> str:
        """``organisation:module:revision[:classifier]``."""
        return ":".join(filter(None, (self.organisation, self.module, self.revision, self.classifier)))

    @property
    def file_name(self) -> str:
        """Name that Maven repositories give the file."""
        return "-".join(filter(None, (self.module, self.revision, self.classifier))) + ".jar"


def cache_directory() -> Path:
    """Per-user folder for what every clone of the repository can share."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "logical-warehouse"


def read_lock(path: Path = LOCK) -> dict[str, tuple[Jar, ...]]:
    """Jars of each set in :data:`SETS`, from lines ``<set> <sha256> <coordinates>``."""
    jars: dict[str, list[Jar]] = {name: [] for name in SETS}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, sha256, coordinates = line.split()
            organisation, module, revision, *classifier = coordinates.split(":")
            jars[name].append(Jar(organisation, module, revision, "".join(classifier), sha256))
    return {name: tuple(found) for name, found in jars.items()}


def jar_directory(name: str) -> Path:
    """Folder of a set; its name carries the lock, so that another lock is another folder."""
    listing = "\n".join(f"{jar.sha256} {jar.file_name}" for jar in read_lock()[name])
    return cache_directory() / "jars" / f"{name}-{hashlib.sha256(listing.encode()).hexdigest()[:12]}"


def ensure_jars(name: str, report: Callable[[str], None] = print) -> Path:
    """Folder with every jar of the set, downloading what is missing.

    The folder appears under its name only when it is complete and every checksum is right.

    :raises StackError: a download failed, or a file is not what the lock says.
    """
    target = jar_directory(name)
    if target.is_dir():
        return target
    jars = read_lock()[name]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as work:
        folder = Path(work, "jars")
        folder.mkdir(mode=0o755)
        _download(name, jars, folder, Path(work), report)
        for jar in jars:
            _verify(jar, folder / jar.file_name)
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was quicker
                raise
    return target


def write_lock(path: Path = LOCK, report: Callable[[str], None] = print) -> None:
    """Resolve the modules of :mod:`local_stack.versions` with their dependencies and write the lock.

    :raises StackError: Ivy could not resolve them.
    """
    wanted = {
        "spark": _ivy_file(_dependency(*text.split(":"), transitive=False) for text in versions.SPARK_JARS),
        "alluxio": _ivy_file(
            (_dependency(*text.split(":"), transitive=True) for text in versions.ALLUXIO_MODULES),
            excluded=versions.ALLUXIO_EXCLUDED,
        ),
    }
    lines = ["# Written by `make lock`: set, SHA-256, coordinates in Maven Central."]
    with tempfile.TemporaryDirectory() as work:
        for name, ivy_file in wanted.items():
            report(f"resolving the {name} jars")
            folder = Path(work, name)
            # Empty path segments for a missing classifier would vanish: hence the optional part.
            pattern = f"{folder}/[organisation]/[module]/[revision]/(c-[classifier]/)[artifact].[ext]"
            _run_ivy(ivy_file, Path(work), pattern, poms=True)
            jars = sorted(_resolved(folder))
            lines += [f"{name} {jar.sha256} {jar.coordinates}" for jar in jars]
    path.write_text("\n".join(lines) + "\n")


def _resolved(folder: Path) -> Iterable[Jar]:
    for file in folder.rglob("*.jar"):
        organisation, module, revision, *rest = file.relative_to(folder).parts
        classifier = rest[0].removeprefix("c-") if len(rest) > 1 else ""
        yield Jar(organisation, module, revision, classifier, _sha256(file))


def _download(name: str, jars: tuple[Jar, ...], folder: Path, work: Path, report: Callable[[str], None]) -> None:
    started = time.monotonic()
    parts = [part for part in (jars[index::PARALLEL_DOWNLOADS] for index in range(PARALLEL_DOWNLOADS)) if part]
    pattern = f"{folder}/[module]-[revision](-[classifier]).[ext]"
    with ThreadPoolExecutor(len(parts)) as pool:
        running = {
            pool.submit(_run_ivy, _ivy_file(map(_locked_dependency, part)), work, pattern, poms=False) for part in parts
        }
        while running:
            finished, running = wait(running, timeout=3)
            for future in finished:
                future.result()
            done = [file.stat().st_size for file in work.rglob("cache-*/**/*.jar") if file.is_file()]
            report(f"{name} jars: {len(done)} of {len(jars)}, {sum(done) / 1e6:.0f} MB")
    report(f"{name} jars: complete in {time.monotonic() - started:.0f} s")


def _verify(jar: Jar, file: Path) -> None:
    if not file.is_file():
        raise StackError(f"{jar.coordinates} was not downloaded; run `make setup` again")
    if (actual := _sha256(file)) != jar.sha256:
        raise StackError(f"{jar.coordinates} has the SHA-256 {actual}, jars.lock says {jar.sha256}: refused")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _dependency(organisation: str, module: str, revision: str, *, transitive: bool) -> str:
    return (
        f"<dependency org={quoteattr(organisation)} name={quoteattr(module)} rev={quoteattr(revision)}"
        f' transitive="{str(transitive).lower()}" conf="default->runtime,master"/>'
    )


def _locked_dependency(jar: Jar) -> str:
    # Without poms Ivy knows no Maven configurations and needs each artifact spelt out.
    classifier = f" m:classifier={quoteattr(jar.classifier)}" if jar.classifier else ""
    return (
        f"<dependency org={quoteattr(jar.organisation)} name={quoteattr(jar.module)} rev={quoteattr(jar.revision)}"
        f' transitive="false"><artifact name={quoteattr(jar.module)} type="jar" ext="jar"{classifier}/></dependency>'
    )


def _ivy_file(dependencies: Iterable[str], excluded: Sequence[str] = ()) -> str:
    patterns = (pattern.split(":") for pattern in excluded)
    excludes = "".join(f"<exclude org={quoteattr(org)} module={quoteattr(module)}/>" for org, module in patterns)
    return (
        f'<ivy-module version="2.0" xmlns:m="{_MAVEN_NAMESPACE}"><info organisation="local" module="jars"/>'
        f'<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(dependencies)}{excludes}</dependencies></ivy-module>"
    )


def _run_ivy(ivy_file: str, work: Path, pattern: str, *, poms: bool) -> None:
    """One run of Ivy with a cache of its own: two runs in one cache would wait for each other."""
    mirror = os.environ.get(REPOSITORY_VARIABLE)
    root = f" root={quoteattr(mirror)}" if mirror else ""  # without, Ivy knows where Maven Central is
    repository = mirror or "Maven Central"
    cache = Path(tempfile.mkdtemp(prefix="cache-", dir=work))
    settings, module = cache / "settings.xml", cache / "ivy.xml"
    module.write_text(ivy_file)
    settings.write_text(
        f'<ivysettings><settings defaultResolver="central"/><caches defaultCacheDir={quoteattr(str(cache))}/>'
        f'<resolvers><ibiblio name="central" m2compatible="true" usepoms="{str(poms).lower()}" checksums=""'
        f' useMavenMetadata="false"{root}/></resolvers></ivysettings>'
    )
    java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp", _ivy_class_path()]
    arguments = ["-settings", str(settings), "-ivy", str(module), "-retrieve", pattern, "-types", "jar", "bundle"]
    try:
        done = subprocess.run(
            [*java, "org.apache.ivy.Main", *arguments], capture_output=True, text=True, timeout=1200, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"downloading jars from {repository} failed: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if "UNRESOLVED" in line or "FAILED" in line]
        reason = lines[0] if lines else (done.stderr or done.stdout).strip().splitlines()[-1]
        raise StackError(f"downloading jars from {repository} failed: {reason.strip(': ')}; run it again to resume")


def pyspark_jars() -> Path:
    """Folder of the jars that pyspark brings.

    :raises StackError: there is no pyspark.
    """
    pyspark = find_spec("pyspark")
    if pyspark is None or pyspark.origin is None:
        raise StackError("pyspark is not installed in this environment; run `make setup`")
    return Path(pyspark.origin).parent / "jars"


def _ivy_class_path() -> str:
    folder = pyspark_jars()
    return os.pathsep.join(str(file) for name in ("ivy-*", "commons-cli-*") for file in folder.glob(f"{name}.jar"))
