"""A ValidatingAdmissionPolicy about Secrets, as administrators have them."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.kubectl import Kubectl, wait_until


@contextmanager
def secrets_denied(kubectl: Kubectl, name: str, expression: str, words: str, probe: str) -> Iterator[None]:
    """In this namespace, Secrets for which `expression` (CEL) is false are denied with `words`, until it ends.

    name: of the policy; probe: of a Secret that is denied.
    """
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": kubectl.namespace}}
    kubectl.apply(
        {
            **kind,
            "kind": "ValidatingAdmissionPolicy",
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": expression, "message": words}],
            },
        },
        {
            **kind,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": selector},
            },
        },
    )

    def in_force() -> bool:
        try:
            kubectl("create", "secret", "generic", probe, "--dry-run=server")
        except AssertionError as error:
            return words in str(error)
        return False

    wait_until("the policy is in force", in_force, 60)
    try:
        yield
    finally:
        kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)
