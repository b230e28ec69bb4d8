"""Settings of the property tests."""

from hypothesis import HealthCheck, settings

# No deadlines: the tests also run on busy machines.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
