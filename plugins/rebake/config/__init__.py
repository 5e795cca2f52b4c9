"""Services, base families and environments are data: one YAML file each, validated here."""

from rebake.config.bases import Base, base_names, load_base
from rebake.config.environments import Environment, Network, load_environment
from rebake.config.probe import HttpCheck, Probe, ProbeSubject
from rebake.config.rollout import RolloutConfig
from rebake.config.services import (
    FleetConfig,
    HealthCheck,
    Service,
    load_service,
    load_services,
    read_service,
    service_names,
)

__all__ = [
    "Base",
    "Environment",
    "FleetConfig",
    "HealthCheck",
    "HttpCheck",
    "Network",
    "Probe",
    "ProbeSubject",
    "RolloutConfig",
    "Service",
    "base_names",
    "load_base",
    "load_environment",
    "load_service",
    "load_services",
    "read_service",
    "service_names",
]
