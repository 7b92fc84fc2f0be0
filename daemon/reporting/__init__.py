"""What the daemon reports: status file, systemd, log, HTTP for monitors, Prometheus.

Does not belong here: notices about events (hooks). Nothing here changes the service.
"""

#: What other packages may import; everything else is private to this one.
__all__ = ["endpoint", "journal", "latest_snapshot", "metrics", "notify", "report", "report_file"]
