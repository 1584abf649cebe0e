"""The web: pages through a guard that never reaches inward, and searches by a provider."""
