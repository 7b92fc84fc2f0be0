"""The check of hooks; without hooks nothing is loaded for it."""

from collections.abc import Iterator

from daemon.commands.findings import CheckContext, Finding, skipped


def hooks(context: CheckContext) -> Iterator[Finding]:
    """Check each hook, then what they share; sends no notice."""
    listeners = context.config.hooks
    if not (listeners.on_done or listeners.on_failed or listeners.on_drop_closed):
        yield skipped("hooks", "none is configured")
        return
    from daemon.commands.checks import hook_entries  # loads what runs hooks

    yield from hook_entries.check_entries(context)
