"""The embedded cloud's Auto Scaling: groups that keep real instances, and instance refreshes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.autoscaling.models import autoscaling_backends

from localcloud.adoption import adopted

from .compute import Compute
from .models import LocalAutoScalingBackend
from .reconciler import Reconciler
from .responses import patch_responses

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


def install(cloud: Cloud, compute: Compute | None = None) -> Reconciler:
    """Extend moto's Auto Scaling; the caller starts and stops the result, which restores moto's when it stops."""
    patches = patch_responses()
    patches.enter_context(adopted(autoscaling_backends, LocalAutoScalingBackend))
    reconciler = LocalAutoScalingBackend.reconciler = Reconciler(cloud, compute or Compute(cloud), patches)
    return reconciler
