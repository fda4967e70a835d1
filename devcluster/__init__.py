"""A real Kubernetes control plane for the demo, the tests and the benchmarks."""

from devcluster.errors import DevclusterError
from devcluster.plane import ControlPlane, control_plane

__all__ = ["ControlPlane", "DevclusterError", "control_plane"]
