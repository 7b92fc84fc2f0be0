"""What the tests of both schemas share: a validator, and results as the real worker makes them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from daemon.config.model_schema import DEFAULT_NAME
from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, Task
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.worker.test_worker_batch import Choosy


def validator_of(path: Path) -> Draft202012Validator:
    """Of a schema, which is one itself."""
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@contextmanager
def opaque_work() -> Iterator[Callable[[Task], Outcome]]:
    """The real worker round a network that finds everything opaque; "bad" names fail."""
    predictor: Any = Choosy()  # Any: only what the worker asks of a predictor
    limits = Limits(max_batch=1, max_wait_s=0.0, decoders=1, finishers=1, memory_bytes=10**8)
    worker = Worker({DEFAULT_NAME: ServedModel([predictor])}, limits)

    def done(task: Task) -> Outcome:
        if "bad" in task.source.name:
            return Failed(Blame.FILE, "cannot be decoded", is_final=True)
        return worker.submit(task).result(30)

    yield done
    worker.close()
