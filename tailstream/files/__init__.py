"""Numbers from files: tables of series in, VaR, backtests, performance and pictures out. No bus, no service.

Reading order: ``table`` -> ``series`` | ``holdings`` -> ``risk`` | ``rolling`` | ``performance`` -> ``pictures``.
"""
