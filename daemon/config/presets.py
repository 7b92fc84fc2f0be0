"""Named sets of `output` keys for common purposes; docs/output.md says what each is for."""

from typing import Any, Literal, get_args

Preset = Literal["none", "marketplace", "square", "portrait"]

PRESETS: dict[str, dict[str, Any]] = {  # Any: values of any setting
    "none": {},
    # The subject fills 85 % of a white square that is large enough for a shop's zoom.
    "marketplace": {
        "background": "#ffffff",
        "crop": {"mode": "subject", "margin": 0.075, "canvas": (2000, 2000)},
    },
    # A transparent square around the subject, as large as the photo allows.
    "square": {"crop": {"mode": "subject", "margin": 0.05, "aspect": "1:1"}},
    # A person on white, standing on the lower edge.
    "portrait": {
        "background": "#ffffff",
        "crop": {"mode": "subject", "margin": 0.05, "canvas": (1600, 2000), "align": "bottom"},
    },
}
assert set(PRESETS) == set(get_args(Preset))
