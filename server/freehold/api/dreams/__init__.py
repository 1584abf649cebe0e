"""Dreams (spec 18).

``routes``, ``schemas`` and ``service`` as everywhere; ``pipeline`` carries a dream on, ``ending``
has its session stop, ``material`` is what the session is made of.
"""
