"""A real Celery worker, in this process, that leaves results in the backend named by the environment.

`SETTINGS` is a JSON object of Celery's settings; `DJANGO` one of Django's database, which is then made ready first.
Runs one task that succeeds and one that fails, with the ids `good` and `bad`.
"""
import json
import os

settings = json.loads(os.environ["SETTINGS"])
if "DJANGO" in os.environ:
    import django
    from django.conf import settings as of_django
    from django.core.management import call_command

    of_django.configure(
        INSTALLED_APPS=["django_celery_results"], DATABASES={"default": json.loads(os.environ["DJANGO"])}, USE_TZ=True
    )
    django.setup()
    call_command("migrate", verbosity=0)

from celery import Celery
from celery.contrib.testing.worker import start_worker

app = Celery("results", broker="memory://", set_as_current=True)
app.conf.update(accept_content=["json", "pickle"], **settings)


@app.task(name="shop.good")
def good(count, what):
    return {"count": [count, None], "what": what}


@app.task(name="shop.bad")
def bad():
    raise ValueError("no luck", 3)


with start_worker(app, perform_ping_check=False, pool="solo", loglevel="ERROR"):
    results = [
        good.apply_async((2,), {"what": "Äpfel"}, task_id="good", queue="celery"),
        bad.apply_async(task_id="bad", queue="celery"),
    ]
    for result in results:
        result.get(timeout=30, propagate=False)
    # All is written, and to stop would take the worker seconds.
    os._exit(0)
