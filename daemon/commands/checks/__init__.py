"""The checks of `cvunetd doctor`: each one reads, changes nothing and never raises."""

from collections.abc import Callable, Iterator

from daemon.commands.findings import CheckContext, Finding

Checkup = Callable[[CheckContext], Iterator[Finding]]
