"""The Celery application that the end-to-end tests run."""
import os
import time

from celery import Celery

# RabbitMQ keeps no results that others can read: there they go into files.
broker = os.environ["BROKER"]
results = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
os.makedirs(results, exist_ok=True)
app = Celery("app", broker=broker, backend=broker if broker.startswith("redis") else f"file://{results}")
app.conf.task_send_sent_event = True
app.conf.worker_prefetch_multiplier = 2
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_pool_restarts = True
if os.path.exists(os.path.join(os.path.dirname(os.path.abspath(__file__)), "quorum")):
    # With quorum queues Celery leaves it to RabbitMQ to hold tasks back until their time.
    app.conf.task_default_queue = "later"
    app.conf.task_default_queue_type = "quorum"
    app.conf.task_default_exchange_type = "topic"


@app.task(name="demo.add")
def add(a, b):
    return a + b


@app.task(name="demo.fails_once")
def fails_once(path, what="thing"):
    """Fails until the file at `path` exists, which it makes itself when it fails."""
    if not os.path.exists(path):
        open(path, "w").close()
        raise ValueError(f"no {what} yet")
    return f"found {what}"


@app.task(name="demo.sleep")
def sleep(seconds):
    time.sleep(seconds)
    return "slept"


@app.task(name="demo.\x1b[31mhostile\x1b]0;owned\x07", bind=True)
def hostile(self):
    raise RuntimeError("\x1b[2J\x1b[H\u202egnorw")
