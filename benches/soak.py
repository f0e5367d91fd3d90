"""An hour under load: whether memory stays flat, and nothing is missed.

    python3 benches/soak.py [--minutes 60] [--rate 20000] [--fill 26000000] [--binary PATH]

It starts a redis-server of its own and `flower-tui serve`, publishes with `flower-tui bench-feed`, and prints a line each
minute. First it fills memory up: of 100,000 tasks up to 40,000 are kept that failed, and of the tasks that are made one in
150 does. It ends with 1 where memory grew by more than 2 % after the first sixth, or an event of a task was missed.
"""

import sys

# Nothing is left beside the sources.
sys.dont_write_bytecode = True

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "vs_flower"))

import measure
import servers


def arguments():
    parser = argparse.ArgumentParser(prog="benches/soak.py", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, default=20_000, help="events a second")
    parser.add_argument("--fill", type=int, default=26_000_000, help="events before the hour, at --fill-rate")
    parser.add_argument("--fill-rate", type=int, default=120_000, help="events a second")
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks kept in memory")
    parser.add_argument("--binary", type=Path, default=servers.Ours.program, help="flower-tui; else the release build")
    return parser.parse_args()


def publish(args, redis, seed, events, rate):
    """Events are made ready for five seconds at a time."""
    words = [args.binary, "bench-feed", redis.url, "--json", "--workers", args.workers, "--events", events,
             "--rate", rate, "--ready", rate * 5, "--seed", seed]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)


def watch(subject, generator):
    """Memory once a minute, in bytes, with how far along it was in seconds."""
    begun, told, memory = time.monotonic(), 0, []
    while generator.poll() is None:
        time.sleep(1)
        spent = time.monotonic() - begun
        if spent >= told * 60:
            told += 1
            memory.append((spent, subject.resident()))
            print(f"{spent / 60:5.1f} min  {measure.megabytes(memory[-1][1]):>8}  {subject.cpu():8.1f} s of CPU  "
                  f"{subject.seen():>12,} events of tasks seen", flush=True)
    return spent, memory


def main():
    args = arguments()
    servers.Ours.program = args.binary.resolve()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        redis = servers.Redis(Path(folder))
        try:
            subject = servers.Ours(redis, Path(folder), args.tasks)
            fill = json.loads(publish(args, redis, 1, args.fill, args.fill_rate).communicate()[0])
            known, _ = measure.settle(subject, fill["of_tasks"], quiet=5)
            print(f"filled with {known:,} events of {fill['of_tasks']:,}", flush=True)
            before, generator = subject.cpu(), publish(args, redis, 2, round(args.rate * args.minutes * 60), args.rate)
            length, memory = watch(subject, generator)
            sent = json.loads(generator.stdout.read())
            seen = measure.settle(subject, known + sent["of_tasks"], quiet=5)[0] - known
            cost = (subject.cpu() - before) / seen * 1e6
        finally:
            servers.end_all()
    settled = [size for at, size in memory if at >= length / 6] or [0]
    growth, missed = max(settled) / (settled[0] or 1) - 1, sent["of_tasks"] - seen
    print(f"{seen:,} events of tasks in {length / 60:.0f} min, {missed:,} missed; memory grew by {growth * 100:.2f} % after "
          f"the first sixth, to {measure.megabytes(max(settled))}; {cost:.2f} CPU-seconds per million")
    sys.exit(1 if growth > 0.02 or missed else 0)


main()
