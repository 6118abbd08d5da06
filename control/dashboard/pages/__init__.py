"""Templates and the stylesheet."""
