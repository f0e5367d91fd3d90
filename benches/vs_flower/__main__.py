"""Flower and flower-tui on the same events, measured in turn and side by side.

    python3 benches/vs_flower [--quick] [--only rate,burst] [--json FILE] [--markdown FILE]

It starts a redis-server of its own, Flower (installed into target/flower once) and `flower-tui serve`, and publishes with
`flower-tui bench-feed`. The table goes to standard output. Nothing else should run on the machine meanwhile.
"""

import sys

# Nothing is left beside the sources.
sys.dont_write_bytecode = True

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import tempfile
from pathlib import Path

import measure
import servers


def arguments():
    names = [function.__name__ for function in measure.ALL]
    parser = argparse.ArgumentParser(prog="benches/vs_flower", description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAMES", help="of " + ", ".join(names))
    parser.add_argument("--who", choices=["flower", "ours"], help="only this one")
    parser.add_argument("--quick", action="store_true", help="shorter and smaller: below five minutes")
    parser.add_argument("--long", action="store_true", help="Flower with the largest number of tasks too, which takes long")
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file")
    parser.add_argument("--markdown", metavar="FILE", help="write the table to a file as well")
    parser.add_argument("--binary", metavar="PATH", type=Path, help="flower-tui; else the release build")
    parser.add_argument("--generator", metavar="PATH", type=Path, help="a flower-tui to publish with; else the same")
    args = parser.parse_args()
    args.only = args.only.split(",") if args.only else names
    if unknown := set(args.only) - set(names):
        parser.error(f"there is no measurement {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return args


def binary(args):
    if args.binary:
        return args.binary.resolve()
    # Says at once when it is up to date.
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=servers.ROOT, check=True)
    return servers.Ours.program


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB"


def versions(kinds):
    redis = re.search(r"v=(\S+)", subprocess.check_output(["redis-server", "--version"], text=True))
    return ", ".join([kind.version() for kind in kinds] + [f"Redis {redis[1]}", f"Linux {platform.release()}"])


def table(kinds, figures, head):
    rows = list(dict.fromkeys(row for kind in kinds for row in figures[kind.name]))
    lines = [head, "", "| | " + " | ".join(kind.name for kind in kinds) + " |", "|---|" + "---:|" * len(kinds)]
    for row in rows:
        lines.append(f"| {row} | " + " | ".join(figures[kind.name].get(row, "–") for kind in kinds) + " |")
    return "\n".join(lines)


def main():
    args = arguments()
    kinds = [servers.Flower, servers.Ours]
    if args.who:
        kinds = [kind for kind in kinds if (kind is servers.Flower) == (args.who == "flower")]
    servers.Ours.program = binary(args)
    if servers.Flower in kinds:
        servers.Flower.install()
    generator = servers.Generator((args.generator or servers.Ours.program).resolve())
    figures = {kind.name: {} for kind in kinds}
    # In the order of the table, one program after the other, so that both meet the machine in the same minute.
    for function in (f for f in measure.ALL if f.__name__ in args.only):
        for kind in kinds:
            print(f"{kind.name}: {function.__name__}", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix="vs_flower-") as folder:
                redis = servers.Redis(Path(folder))
                try:
                    bench = measure.Bench(kind, redis, Path(folder), generator, args.quick, args.long)
                    figures[kind.name] |= function(bench)
                finally:
                    redis.end()
                    servers.end_all()
    today = datetime.date.today().isoformat()
    text = table(kinds, figures, f"{today}, {machine()}; {versions(kinds)}{' (--quick)' if args.quick else ''}")
    print(text)
    if args.markdown:
        Path(args.markdown).write_text(text + "\n")
    if args.json:
        document = {"date": today, "machine": machine(), "versions": versions(kinds), "quick": args.quick}
        Path(args.json).write_text(json.dumps(document | {"figures": figures}, indent=2) + "\n")


main()
