"""Celery with Redis as the control bench runs it. The environment's CELERY_PEER names the broker.

    celery_peer.py drive TASK COUNT              sends so many tasks, waits for all, prints the seconds
    python3 -m celery -A celery_peer worker     a worker
"""

import os
import subprocess
import sys
import time

from celery import Celery, group

url = os.environ["CELERY_PEER"]
app = Celery("celery_peer", broker=url, backend=url)
# One task at a time and not acknowledged before it is done: as near to a lease as Celery comes.
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)


@app.task
def nothing():
    return None


@app.task
def true():
    return subprocess.run(["/bin/true"], check=True).returncode


if __name__ == "__main__":
    begun = time.monotonic()
    task = {"nothing": nothing, "true": true}[sys.argv[2]]
    group(task.s() for _ in range(int(sys.argv[3]))).apply_async().get()
    print(time.monotonic() - begun)
