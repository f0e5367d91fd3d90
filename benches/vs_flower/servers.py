"""What is measured, and the Redis it is measured on: processes of our own on free ports, looked at from outside."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / "target" / "flower"
TICK = os.sysconf("SC_CLK_TCK")
EVENTS = re.compile(rb'^flower_events_total\{[^\n]*type="task-[^\n]*\} ([0-9.e+]+)$', re.M)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(condition, limit, what, every=0.02):
    """Waits until something is so, and returns it."""
    end = time.monotonic() + limit
    while not (found := condition()):
        if time.monotonic() > end:
            sys.exit(f"vs_flower: {what} did not happen within {limit} s")
        time.sleep(every)
    return found


RUNNING = []


def end_all():
    """Ends what a measurement left behind that broke off."""
    for process in list(RUNNING):
        process.end()


class Process:
    """A child that ends with us."""

    def __init__(self, command, log, env=None):
        self.log = open(log, "ab")
        self.child = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env
        )
        RUNNING.append(self)

    def alive(self):
        return self.child.poll() is None

    def end(self, how=signal.SIGKILL):
        if self.alive():
            self.child.send_signal(how)
        self.child.wait()
        self.log.close()
        if self in RUNNING:
            RUNNING.remove(self)


class Redis:
    """With the limits it comes with: a subscriber that is 32 MB behind is cut off."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        command = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = Process(command, self.folder / "redis.log")
        until(self.answers, 10, "an answer of redis-server", every=0.001)

    def answers(self):
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(command(*words))
            return connection.recv(4096)

    def end(self):
        self.process.end()


def command(*words):
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Subject:
    """A program that is measured. What it has seen is read off its own metrics."""

    name = ""

    def __init__(self, redis, folder, tasks):
        self.port, self.folder = free_port(), folder
        begun = time.monotonic()
        self.process = Process(self.command(redis, tasks), folder / f"{self.name}.log", self.environment())
        until(self.seen_or_none_is_an_answer, 60, f"an answer of {self.name}", every=0.005)
        self.to_answer = time.monotonic() - begun
        until(lambda: listeners(redis) > 0, 60, f"a subscription of {self.name}")

    def command(self, redis, tasks):
        raise NotImplementedError

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FLOWER", "CELERY"))}
        # No settings of whoever runs this.
        return env | {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder),
                      "FLOWER_UNAUTHENTICATED_API": "true"}

    def get(self, path, timeout=30):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
            return answer.read()

    def seen_or_none_is_an_answer(self):
        if not self.process.alive():
            sys.exit(f"vs_flower: {self.name} ended; see {self.folder / self.name}.log")
        return self.seen() is not None

    def seen(self, timeout=30):
        """How many events of tasks it has counted, as others Flower does not; None where it does not answer."""
        try:
            return round(sum(float(n) for n in EVENTS.findall(self.get("/metrics", timeout))))
        except (OSError, urllib.error.URLError):
            return None

    def cpu(self):
        """Seconds of CPU so far, as the kernel counts them for the whole process."""
        fields = Path(f"/proc/{self.process.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self):
        status = Path(f"/proc/{self.process.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) * 1024

    def end(self):
        self.process.end()


class Flower(Subject):
    name = "Flower"

    def command(self, redis, tasks):
        return [VENV / "bin" / "celery", "-b", redis.url, "flower", "--address=127.0.0.1", f"--port={self.port}",
                f"--max_tasks={tasks}"]

    @staticmethod
    def install():
        if not (VENV / "lib").exists() or not list(VENV.glob("lib/*/site-packages/flower")):
            print(f"vs_flower: installing Flower into {VENV}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
            pip = [VENV / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "flower", "celery[redis]"]
            subprocess.run(pip, check=True)

    @staticmethod
    def version():
        say = "from importlib.metadata import version as v; print('Flower', v('flower'), '(Celery', v('celery') + ')')"
        return subprocess.check_output([VENV / "bin" / "python", "-c", say], text=True).strip()


class Ours(Subject):
    name = "flower-tui"
    program = ROOT / "target" / "release" / "flower-tui"

    def command(self, redis, tasks):
        return [self.program, "-b", redis.url, "--no-audit", "--max-tasks", tasks, "--max-memory", "4G", "serve",
                "--address", "127.0.0.1", "--port", self.port]

    @classmethod
    def version(cls):
        return subprocess.check_output([cls.program, "--version"], text=True).strip()


def listeners(redis):
    """How many patterns of channels are heard: those of events."""
    return int(redis.ask("PUBSUB", "NUMPAT")[1:].split()[0])


class Generator:
    """`flower-tui bench-feed`."""

    def __init__(self, program, workers=10):
        self.program, self.workers, self.seed = program, workers, 0

    def publish(self, redis, *how):
        """Publishes and tells what was sent; each time other tasks."""
        self.seed += 1
        words = [self.program, "bench-feed", redis.url, "--json", "--workers", self.workers, "--seed", self.seed, *how]
        return json.loads(subprocess.check_output([str(word) for word in words]))
