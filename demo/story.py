"""The steps of the demo, in order."""

import base64
import json
import subprocess
import time
from pathlib import Path
from string import Template

from demo.servers import Server, free_port, nginx, write_private
from demo.stage import Stage
from demo.terminal import DemoFailed
from devcluster.errors import tail

_HOST = "www.example.com"
_VERIFIED = "Verify return code: 0 (ok)"


class Story(Stage):
    def tell(self) -> None:
        start = time.monotonic()
        server = self._install()
        try:
            self._certificates()
            self._look()
            web, port = self._serve()
            self._renew(web, port)
        except DemoFailed as error:
            raise DemoFailed(f"{error}\nThe operator's log ends with:\n{tail(server.log)}") from None
        self._terminal.heading("Done")
        self._terminal.say(f"It took {time.monotonic() - start:.0f} s. Nginx, operator and control plane end now.")
        web.stop()
        server.stop()
        self._next()

    def _certificates(self) -> None:
        self._terminal.heading("A root CA that signs itself")
        self._terminal.say("An Issuer says who signs. A CertificateRequest says what is wanted, and from which Issuer.")
        self._apply("root")
        self._terminal.heading("An intermediate CA, signed by the root")
        self._terminal.say("The Secret that the first request filled is the CA of the next Issuer.")
        self._apply("intermediate")
        self._terminal.heading(f"A certificate for {_HOST}")
        self._terminal.say("The subject of the classic tutorials, three names, and a key that every client knows.")
        self._apply("www")

    def _look(self) -> None:
        self._terminal.heading("What there is now")
        self._show("kubectl get csreq")
        self._show("kubectl describe csreq www")
        self._terminal.say("The certificate signing request that the operator made, read by openssl:")
        self._show("kubectl get csreq www -o jsonpath='{.status.csr}' | openssl req -noout -text -verify")
        self._terminal.say("The Secret. Key and certificate are always replaced together, in one write.")
        self._show("kubectl describe secret www-tls")

    def _serve(self) -> tuple[Server, int]:
        self._terminal.heading("Nginx serves it")
        self._terminal.say(
            "In a pod, a volume has the Secret's files. Here they are written to $DEMO, which only you can read."
        )
        self._write_secret()
        self._show("ls -l $DEMO/tls.crt $DEMO/tls.key $DEMO/ca.crt")
        self._terminal.say("The certificate, read by openssl:")
        self._show("openssl x509 -in $DEMO/tls.crt -noout -text")
        port = free_port()
        template = Template((Path(__file__).parent / "nginx.conf").read_text())
        (self._folder / "nginx.conf").write_text(template.substitute(PORT=port))
        self._terminal.say("An Nginx of our own, on a free port of 127.0.0.1:")
        self._show("cat $DEMO/nginx.conf")
        web = nginx(self._group, self._env, port)
        self._terminal.say(
            "A client that trusts the root (ca.crt) alone, and gives up at any fault in chain, dates or name:"
        )
        # What may follow are session tickets, pages of them.
        if _VERIFIED not in self._show(f"{self._handshake(port)} </dev/null 2>&1 | sed '/^Post-Handshake/,$d'"):
            raise DemoFailed(f"openssl s_client did not say {_VERIFIED!r}")
        return web, port

    def _renew(self, web: Server, port: int) -> None:
        self._terminal.heading("One name more: the certificate is replaced")
        patch = '[{"op": "add", "path": "/spec/dnsNames/-", "value": "shop.example.com"}]'
        self._show(f"kubectl patch csreq www --type=json -p '{patch}'")
        self._show("kubectl wait csreq/www --for=jsonpath='{.status.revision}'=2 --timeout=60s")
        self._show("kubectl events --for csreq/www")
        self._terminal.say(
            "Nginx goes on serving the old one until it reads the new files. That is what a reload does:"
        )
        self._write_secret()
        self._show('kill -HUP "$(cat $DEMO/nginx.pid)"')
        # The old worker takes connections beside the new one until it has ended.
        web.wait("Nginx's old worker to end", lambda: "exited with code 0" in web.log.read_text())
        self._terminal.say("The same client, and what it was shown:")
        served = self._show(
            f"{self._handshake(port)} </dev/null 2>/dev/null | openssl x509 -noout -serial -ext subjectAltName"
        )
        expected = self._show("kubectl get csreq www -o jsonpath='{.status.serialNumber}'")
        if f"serial={expected.zfill(2 * ((len(expected) + 1) // 2))}\n" not in served:
            raise DemoFailed("Nginx does not serve the certificate that the request's status speaks of")

    @staticmethod
    def _handshake(port: int) -> str:
        return (
            f"openssl s_client -connect 127.0.0.1:{port} -servername {_HOST} -CAfile $DEMO/ca.crt "
            f"-verify_hostname {_HOST} -verify_return_error"
        )

    def _next(self) -> None:
        self._terminal.say("What to do next:")
        for line in (
            "README.md        install it into a cluster, and get a first certificate of your own",
            "examples/        these manifests, and others for Nginx, Apache and an Ingress",
            "docs/            all fields, conditions and metrics; backup, upgrade, troubleshooting",
            "make shell       an empty control plane, to try manifests of your own",
        ):
            self._terminal.line(f"  {line}")

    def _write_secret(self) -> None:
        # One read, so that key and certificate are of one revision; not shown, as it prints the key.
        command = ["kubectl", "get", "secret", "www-tls", "--output=json"]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DemoFailed(f"{' '.join(command)}: {done.stderr.strip()}")
        for name, value in json.loads(done.stdout)["data"].items():
            write_private(self._folder / name, base64.b64decode(value))
