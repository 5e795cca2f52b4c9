"""An AWS that runs on one machine, for development and tests: moto's server with real instances behind it."""
