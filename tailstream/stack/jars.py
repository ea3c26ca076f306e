"""Kafka's jars: fetched once, checked at every start, kept in the cache."""

import hashlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tailstream.stack.cache import cache_directory, locked, writable_directory
from tailstream.stack.errors import DownloadFailed, JarMismatch

KAFKA_VERSION = "4.3.1"
# Kafka's own choice of log4j's slf4j binding makes the resolver mix in older Kafka clients; slf4j-simple does not.
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
HASHES = Path(__file__).with_name("kafka.sha256")
_SIZE_MB = 44
_REPORT_SECONDS = 2.0

Progress = Callable[[str], None]


def kafka_jars(progress: Progress) -> Path:
    """The directory that holds exactly the jars of ``kafka.sha256``; fetches them when they are not there yet.

    A download is made beside its place and moved there when every hash agrees, so that one cut short is never taken
    for whole; who comes while another process downloads waits for it. A damaged jar is fetched again.

    Raises
    ------
    DownloadFailed
        When they cannot be fetched, or are not the ones expected.
    """
    cached = cache_directory()
    jars = cached / f"kafka-{KAFKA_VERSION}"
    with locked(cached / ".jars.lock"):
        if jars.exists():
            try:
                check_jars(jars)
            except JarMismatch as error:
                progress(f"{error}: fetching Kafka again")
            else:
                return jars
        _install(jars, progress)
    return jars


def check_jars(directory: Path) -> None:
    """Compare the jars in ``directory`` with the committed hashes.

    Raises
    ------
    JarMismatch
        Naming the first jar that is missing, unknown or different.
    """
    expected = expected_hashes()
    found = {path.name: path for path in directory.glob("*.jar")}
    for name in sorted(expected.keys() | found.keys()):
        was = _sha256(found[name]) if name in found else "missing"
        if was != expected.get(name):
            wanted = f"sha256 {expected[name]}" if name in expected else "no such jar"
            raise JarMismatch(f"{directory / name}: expected {wanted}, was {was}")


@cache
def expected_hashes() -> dict[str, str]:
    """The committed list: sha256 by name of the jar."""
    rows = (line.split() for line in HASHES.read_text().splitlines())
    return {name: digest for digest, name in rows}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _install(jars: Path, progress: Progress) -> None:
    partial = jars.with_name(f"{jars.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        writable_directory(partial)
        with _watched(partial, progress):
            fetched = _fetch(partial)
        check_jars(fetched)
        shutil.rmtree(jars, ignore_errors=True)
        fetched.rename(jars)
    except OSError as error:
        raise _failed(error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    progress(f"Kafka {KAFKA_VERSION} is in {jars}")


def _fetch(partial: Path) -> Path:
    # Imported here: a start that finds the jars in the cache does not pay for the resolver.
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.CRITICAL)
    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    builder = EnvironmentBuilder(
        context=MavenContext(repo_cache=partial / "repository", remote_repos=repositories),
        cache_dir=partial / "environments",
        link_strategy=LinkStrategy.HARD,
    )
    try:
        environment = builder.from_endpoint(COORDINATES, main_class="kafka.Kafka")
    except Exception as error:  # the resolver raises whatever its transport, its parser or the disk raises
        raise _failed(error) from error
    together = partial / "jars"
    together.mkdir()
    for jar in environment.path.glob("*/*.jar"):
        jar.rename(together / jar.name)
    return together


def _failed(error: Exception) -> DownloadFailed:
    return DownloadFailed(
        f"{COORDINATES}: expected to fetch {_SIZE_MB} MB of jars from a Maven repository, was: {error}. "
        "Connect to the network for the first start, name repositories in jgo's settings, or set TAILSTREAM_KAFKA"
    )


@contextmanager
def _watched(partial: Path, progress: Progress) -> Iterator[None]:
    """Report how far the download is, every two seconds."""
    done = threading.Event()

    def watch() -> None:
        progress(f"fetching Kafka {KAFKA_VERSION}, {_SIZE_MB} MB, once")
        while not done.wait(_REPORT_SECONDS):
            progress(f"fetching Kafka {KAFKA_VERSION}: {_megabytes(partial)} of {_SIZE_MB} MB")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _megabytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("repository/**/*.jar")) // 1_000_000
