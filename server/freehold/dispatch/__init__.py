"""Who wakes sessions and who hears of it: adapters of the dispatcher, fan-out and clock ports."""
