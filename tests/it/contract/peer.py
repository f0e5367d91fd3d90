"""The other side of a broker, made of Celery and kombu: sends events and tasks, takes tasks, and answers remote control.

Settings come as JSON in PEER. Then each line of standard input is a command, and each line of output its answer.
"""
import json
import os
import socket
import sys
import threading
import time

from celery import Celery
from kombu import Queue

settings = json.loads(os.environ["PEER"])
app = Celery("peer", broker=settings["broker_url"])
app.conf.update(settings)
app.conf.broker_connection_retry = False
held = []


def answer_control():
    """Answers `ping` as a worker does, for ever."""
    node = app.control.mailbox.Node("contract@peer", handlers={"ping": lambda state, **_: {"ok": "pong"}}, state=None)
    while True:
        try:
            with app.connection_for_read() as connection:
                connection.connect()
                node.channel = connection.default_channel
                with node.Consumer(accept=["json"], callbacks=[lambda body, message: node.handle_message(body, message)]):
                    while True:
                        try:
                            connection.drain_events(timeout=0.5)
                        except socket.timeout:
                            pass
        except Exception as error:
            print(f"control: {error!r}", file=sys.stderr)
            time.sleep(0.2)


def events(connection, count):
    with app.events.Dispatcher(connection, hostname="contract@peer") as dispatcher:
        for number in range(count):
            dispatcher.send("task-sent", uuid=f"event-{number}", name="contract.task", args="()", kwargs="{}", queue="q")


def publish(connection, queue, id, priority=None):
    app.send_task("contract.task", args=[1], task_id=id, queue=Queue(queue), priority=priority, connection=connection)


def get(connection, queue):
    bound = Queue(queue)(connection.default_channel)
    bound.declare()
    return bound.get()


def take(connection, queue):
    """The next message, acknowledged."""
    message = get(connection, queue)
    if message is None:
        return None
    message.ack()
    return {"id": message.headers["id"], "task": message.headers["task"], "body": message.decode()}


def hold(queue):
    """The next message, given to us and not acknowledged."""
    connection = app.connection_for_read()
    message = get(connection, queue)
    held.append((connection, message))
    return message.headers["id"]


def perform(command):
    do = command.pop("do")
    if do == "hold":
        return hold(**command)
    with app.connection_for_write() as connection:
        return {"events": events, "publish": publish, "take": take}[do](connection, **command)


threading.Thread(target=answer_control, daemon=True).start()
for line in sys.stdin:
    try:
        answer = {"ok": perform(json.loads(line))}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
