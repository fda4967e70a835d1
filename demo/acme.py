"""`make demo-acme`: an account, a challenge and a certificate of a CA that speaks ACME."""

import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent

from demo.servers import free_port
from demo.stage import Stage
from demo.terminal import TOP, DemoFailed
from devcluster.errors import tail
from tests.support.pebble import Pebble, pebble

_MANIFEST = TOP / "examples" / "demo" / "acme.yaml"


class AcmeStory(Stage):
    def tell(self) -> None:
        start = time.monotonic()
        port = free_port()
        server = self._install(acme_port=port)
        try:
            with pebble(self._folder, http_port=port, spawn=self._spawn) as ca:
                self._ca(ca)
                self._account(ca)
                self._certificate(ca)
                self._renew()
                self._revoke()
        except DemoFailed as error:
            raise DemoFailed(f"{error}\nThe operator's log ends with:\n{tail(server.log)}") from None
        self._terminal.heading("Done")
        self._terminal.say(f"It took {time.monotonic() - start:.0f} s. Pebble, operator and control plane end now.")
        server.stop()

    def _spawn(self, command: list[str], environment: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
        return self._group.spawn(command, env=environment, output=output)

    def _ca(self, ca: Pebble) -> None:
        self._terminal.heading("A CA that speaks ACME")
        self._terminal.say(
            "Pebble is the test server of Let's Encrypt. It validates for real, with two liberties: its DNS says that "
            f"every name is at 127.0.0.1, and it connects to port {ca.http_port}, where the operator answers, not to "
            "80. It also refuses every fifth nonce, as a good client has to bear."
        )
        self._show("grep -E 'directory available|nonces|strict' $DEMO/pebble.log")

    def _account(self, ca: Pebble) -> None:
        self._terminal.heading("An issuer is an account")
        self._terminal.say(
            "This is examples/demo/acme.yaml with Pebble's URL, and the CA of its own TLS certificate. In your cluster "
            "you would add an Ingress or a Gateway to http01, or use dns01; here the operator is reached directly, "
            "under names that this machine does not know, so that it cannot look at its own answer first (selfCheck)."
        )
        issuer, _, request = _MANIFEST.read_text().partition("---\n")
        bundle = indent(ca.ca_file.read_text(), " " * 6)
        issuer = re.sub(
            "server: .*", f"server: {ca.directory}\n    profile: default\n    caBundle: |\n{bundle}", issuer
        )
        issuer = issuer.replace("http01: {}", "http01: {selfCheck: false}").replace("\n\n", "\n")
        (self._folder / "issuer.yaml").write_text(issuer)
        (self._folder / "request.yaml").write_text(request)
        self._show("cat $DEMO/issuer.yaml")
        self._show("kubectl apply -f $DEMO/issuer.yaml")
        self._show("kubectl wait csrclusterissuer/acme --for=condition=Ready --timeout=60s")
        self._terminal.say("The operator made a key, and an account with it:")
        self._show("kubectl get csrclusterissuer acme -o wide")
        self._show(
            "kubectl get secret acme-account -n csr-operator-system -o 'custom-columns=NAME:.metadata.name,TYPE:.type'"
        )

    def _certificate(self, ca: Pebble) -> None:
        self._terminal.heading("A certificate")
        self._show("cat $DEMO/request.yaml")
        self._show("kubectl apply -f $DEMO/request.yaml")
        self._show("kubectl wait csreq/webshop --for=condition=Ready --timeout=60s")
        self._terminal.say(
            "What Pebble did meanwhile. It took an order and fetched, from three places, a page that only who controls "
            "the names can serve; then the operator sent the CSR:"
        )
        steps = "Added order|Attempting to validate|set VALID|Processing final|Issued certificate"
        said = self._show(
            f"grep -E '{steps}' $DEMO/pebble.log | sed -E 's/^Pebble [^ ]+ //; s/[A-Za-z0-9_-]{{30,}}/.../g' | uniq"
        )
        if "/.well-known/acme-challenge/" not in said:
            raise DemoFailed("Pebble did not fetch the answer to a challenge")
        self._show("kubectl get csreq")
        self._show(
            "kubectl get secret webshop-tls -o jsonpath='{.data.tls\\.crt}' | base64 -d "
            "| openssl x509 -noout -issuer -dates -ext subjectAltName"
        )
        self._terminal.say(
            "The page is gone again, and so is the Secret that held key and CSR while the order was under way:"
        )
        self._show("kubectl get configmaps -n csr-operator-system -l csr-operator.dev/challenge")
        self._show("kubectl get secrets")

    def _renew(self) -> None:
        self._terminal.heading("The CA has a say in when it is renewed")
        self._terminal.say("By ARI (RFC 9773): a window, in which each request has its own moment.")
        self._show(
            "kubectl get secret webshop-tls -o jsonpath='{.metadata.annotations.csr-operator\\.dev/renewal-window}'"
        )
        self._show("kubectl get csreq webshop -o jsonpath='{.status.renewalTime}'")
        self._terminal.say("Now, on demand; the CA is told which certificate this one replaces:")
        self._show("kubectl csr renew webshop")
        self._show("kubectl wait csreq/webshop --for=jsonpath='{.status.revision}'=2 --timeout=60s")

    def _revoke(self) -> None:
        self._terminal.heading("Gone with its request")
        self._terminal.say("revocation.onDelete has the certificate revoked before the request goes:")
        self._show("kubectl delete csreq webshop --timeout=60s")
        self._show("grep -iE 'revoke-cert' $DEMO/pebble.log | sed -E 's/^Pebble [^ ]+ //'")
