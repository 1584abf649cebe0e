"""What the harness asks of the world: protocols, a page each.

Every adapter behind them ships with the package, the offline ones too.
"""
