"""The file of the status report: its name, for those who only read it."""

REPORT = "status.json"
