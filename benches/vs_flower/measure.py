"""The measurements: each takes what it needs from a `Bench` and returns figures by the name of their row."""

import base64
import json
import statistics
import time
import uuid

import servers

PATHS = ["/api/tasks?limit=100", "/api/workers", "/metrics"]


class Bench:
    """One program on one Redis, with what publishes to it."""

    def __init__(self, kind, redis, folder, generator, quick, long):
        self.kind, self.redis, self.folder, self.generator = kind, redis, folder, generator
        self.quick, self.long = quick, long
        self.is_flower = kind is servers.Flower
        # What Flower can follow without falling behind, and what it can just follow.
        self.gentle, self.brisk = 2_000, 3_000

    def start(self, tasks=100_000):
        return self.kind(self.redis, self.folder, tasks)

    def feed(self, subject, *how):
        """Publishes, and returns what was sent, what of it was seen, and how many seconds after the end it was."""
        before = subject.seen()
        sent = self.generator.publish(self.redis, *how)
        seen, after = settle(subject, before + sent["of_tasks"], quiet=5)
        return sent, seen - before, after


def settle(subject, wanted, quiet):
    """Waits until so many events were seen, or nothing has come for a while: how many, and after how many seconds."""
    begun = last = time.monotonic()
    seen = subject.seen() or 0
    while seen < wanted and time.monotonic() - last < quiet:
        time.sleep(0.05)
        now = subject.seen()
        if now is not None and now != seen:
            seen, last = now, time.monotonic()
    return seen, last - begun


def start(bench):
    times = []
    for _ in range(2 if bench.quick else 4):
        subject = bench.start()
        times.append(subject.to_answer)
        subject.end()
    return {"start to first answer": seconds(statistics.median(times))}


def idle(bench):
    subject = bench.start()
    time.sleep(3)
    length, before = (5 if bench.quick else 20), subject.cpu()
    time.sleep(length)
    share, memory = (subject.cpu() - before) / length, subject.resident()
    subject.end()
    return {"idle: resident memory": megabytes(memory), "idle: CPU": f"{share * 100:.1f} %"}


def rate(bench):
    """Doubles until it fails, then halves the distance."""
    held, failed, ceiling, length = 0, None, "", 5 if bench.quick else 10
    step = 1_000 if bench.is_flower else 50_000
    while failed is None or failed > held * 1.15:
        wanted = step if failed is None else int(held + failed) // 2
        achieved, ok = holds(bench, wanted, length)
        note(bench, f"{wanted:,}/s: published {achieved:,.0f}/s, {'held' if ok else 'not held'}")
        if not ok:
            failed = min(wanted, achieved)
            if failed < 200:
                break
            continue
        held, step = min(wanted, achieved), wanted * 2
        if achieved < wanted * 0.97:
            ceiling = " (no more could be published)"
            break
    return {f"highest rate held for {length} s": f"{held:,.0f} events/s{ceiling}"}


def holds(bench, wanted, length):
    """Whether all is seen, at the latest two seconds after the last was sent; and the rate that came about."""
    # More would not fit into memory beforehand.
    events = min(wanted * length, 4_000_000)
    subject = bench.start()
    before = subject.seen()
    sent = bench.generator.publish(bench.redis, "--events", events, "--rate", wanted, "--ready", events)
    end, seen = time.monotonic() + 2, 0
    while seen < before + sent["of_tasks"] and time.monotonic() < end:
        seen = subject.seen(timeout=max(0.1, end - time.monotonic())) or seen
        time.sleep(0.02)
    subject.end()
    return sent["rate"], seen >= before + sent["of_tasks"]


def burst(bench):
    subject = bench.start()
    sent, seen, after = bench.feed(subject, "--events", 100_000, "--within", "200ms")
    subject.end()
    lost = sent["of_tasks"] - seen
    note(bench, f"burst of {sent['of_tasks']} in {sent['seconds']:.2f} s: {seen} seen, the last {after:.1f} s later")
    return {"lost of a burst of 100,000 in 0.2 s": f"{lost:,} ({lost / sent['of_tasks'] * 100:.0f} %)"}


def cpu(bench):
    rows = {"CPU-seconds per million events, at 2,000/s": cost(bench, bench.gentle, 10 if bench.quick else 30)}
    for pace in [] if bench.is_flower else [100_000, 300_000]:
        rows[f"CPU-seconds per million events, at {pace:,}/s"] = cost(bench, pace, 5 if bench.quick else 10)
    return rows


def cost(bench, pace, length):
    subject = bench.start()
    # What is new is dear: workers and names are known before it counts.
    bench.feed(subject, "--events", pace, "--rate", pace)
    before = subject.cpu()
    sent, seen, _ = bench.feed(subject, "--events", pace * length, "--rate", pace)
    used = subject.cpu() - before
    subject.end()
    lost = f" ({sent['of_tasks'] - seen:,} lost)" if seen != sent["of_tasks"] else ""
    return f"{used / seen * 1e6:.2f}{lost}"


def memory(bench):
    sizes = [10_000, 25_000, 100_000] if bench.quick else [100_000, 250_000, 1_000_000]
    if bench.is_flower and not bench.long:
        sizes = sizes[:2]
    rows, known, subject = {}, 0, bench.start(tasks=sizes[-1])
    for size in sizes:
        pace = bench.brisk if bench.is_flower else 50_000
        sent, seen, _ = bench.feed(subject, "--tasks", size - known, "--rate", pace)
        known = size
        time.sleep(2)
        lost = f" ({sent['of_tasks'] - seen:,} events lost)" if seen != sent["of_tasks"] else ""
        rows[f"resident memory at {size:,} tasks"] = megabytes(subject.resident()) + lost
        note(bench, f"{size} tasks: {megabytes(subject.resident())}{lost}")
    subject.end()
    return rows


def answers(bench):
    subject = bench.start()
    bench.feed(subject, "--tasks", 2_000 if bench.quick else 10_000, "--rate", bench.gentle)
    rows = {}
    for path in PATHS:
        times = []
        for _ in range(5 if bench.quick else 15):
            begun = time.monotonic()
            subject.get(path)
            times.append(time.monotonic() - begun)
        rows[f"answer: {path}"] = seconds(statistics.median(times))
    subject.end()
    return rows


def restart(bench):
    """Redis dies, and comes back three seconds later. From then on an event every other millisecond, each of which Redis
    tells how many have heard it."""
    subject = bench.start()
    bench.feed(subject, "--events", 2_000, "--rate", 1_000)
    before = subject.seen()
    bench.redis.end()
    time.sleep(3)
    bench.redis.start()
    begun, published, heard_at = time.monotonic(), 0, None
    with servers.socket.create_connection(("127.0.0.1", bench.redis.port)) as connection:
        # It goes on for two seconds after the return.
        while time.monotonic() - (heard_at or begun) < (2 if heard_at else 60):
            connection.sendall(received(published))
            published += 1
            heard = int(connection.recv(64)[1:].split()[0])
            if heard and heard_at is None:
                heard_at = time.monotonic()
            time.sleep(0.002)
    if heard_at is None:
        subject.end()
        return {"Redis gone for 3 s: heard again after": "not within 60 s"}
    seen, _ = settle(subject, before + published, quiet=5)
    subject.end()
    return {
        "Redis gone for 3 s: heard again after": seconds(heard_at - begun),
        "Redis gone for 3 s: lost of what came after": f"{published - (seen - before):,} of {published:,}",
    }


def received(number):
    """The event of a worker that has received a task, as a command."""
    task = str(uuid.UUID(int=number))
    event = {"hostname": "celery@app-1", "utcoffset": 0, "pid": 700, "clock": number, "uuid": task, "name": "mail.send",
             "args": "()", "kwargs": "{}", "root_id": task, "parent_id": None, "retries": 0, "eta": None,
             "expires": None, "timestamp": time.time(), "type": "task-received"}
    envelope = {
        "body": base64.b64encode(json.dumps(event).encode()).decode(), "content-encoding": "utf-8",
        "content-type": "application/json", "headers": {"hostname": event["hostname"]},
        "properties": {"delivery_mode": 1, "delivery_info": {"exchange": "celeryev", "routing_key": "task.received"},
                       "priority": 0, "body_encoding": "base64", "delivery_tag": str(number)},
    }
    return servers.command("PUBLISH", "/0.celeryev/task.received", json.dumps(envelope))


ALL = [start, idle, answers, cpu, burst, rate, restart, memory]


def note(bench, text):
    print(f"  {bench.kind.name}: {text}", file=servers.sys.stderr)


def seconds(value):
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def megabytes(value):
    return f"{value / 1e6:.0f} MB"
