"""The check of hooks; without hooks nothing is loaded for it."""

from collections.abc import Iterator

from daemon.commands.findings import CheckContext, Finding, skipped
from daemon.config.hook_schema import entries


def hooks(context: CheckContext) -> Iterator[Finding]:
    """Check each hook, then what they share; sends no notice."""
    if not any(entries(context.config.hooks)):
        yield skipped("hooks", "none is configured")
        return
    from daemon.commands.checks import hook_entries  # loads what runs hooks

    yield from hook_entries.check_entries(context)
