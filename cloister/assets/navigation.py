"""From which compatibility date on pages that browsers navigate to are for the assets first."""

from collections.abc import Collection

SINCE = "2025-04-01"
ON = "assets_navigation_prefers_asset_serving"
OFF = "assets_navigation_has_no_effect"


def prefers_assets(compatibility_date: str, flags: Collection[str]) -> bool:
    """Whether a version of that date, with those flags, wants it so."""
    return OFF not in flags and (ON in flags or compatibility_date >= SINCE)
