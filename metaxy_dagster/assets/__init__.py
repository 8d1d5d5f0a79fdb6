"""Features as asset definitions: the decorators, plain specs, observations."""
