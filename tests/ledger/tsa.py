"""
A real RFC 3161 authority for tests: its own root, and ``openssl ts`` behind every answer; no network beyond 127.0.0.1.

``with LocalAuthority(folder) as authority`` also serves it over HTTP at ``authority.url``.
"""

import subprocess
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CONFIG = """
[tsa]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
ess_cert_id_chain = no
ordering = no
tsa_name = no
"""


class LocalAuthority:
    """
    A timestamp authority in ``folder``, whose root certificate is ``root_der``.

    :param purpose: the extended key usage of the authority's certificate, for one that may not stamp
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "Test TSA",
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING,
        critical: bool = True,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _certificate(f"{name} root", root_key, f"{name} root", root_key, ca=True)
        leaf = _certificate(name, key, f"{name} root", root_key, purpose=purpose, critical=critical)
        self.root_der = root.public_bytes(Encoding.DER)
        (folder / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
        (folder / "tsa.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
        (folder / "tsa.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
        self._one_at_a_time = threading.Lock()  # openssl rewrites the serial file
        self._server: ThreadingHTTPServer | None = None

    def stamp(self, data: bytes) -> bytes:
        """Return the TimeStampResp (DER) over SHA-256 of ``data``, stamped now, with the authority's certificate."""
        query = subprocess.run(
            ["openssl", "ts", "-query", "-data", "/dev/stdin", "-sha256", "-cert"],
            input=data,
            capture_output=True,
            check=True,
        )
        return self.answer(query.stdout)

    def answer(self, request: bytes) -> bytes:
        """Return the TimeStampResp (DER) to a TimeStampReq (DER), a refusal where the request is none."""
        with self._one_at_a_time:
            (self.folder / "query.tsq").write_bytes(request)
            subprocess.run(
                [
                    *("openssl", "ts", "-reply", "-config", self.folder / "tsa.cnf", "-section", "tsa"),
                    *("-queryfile", self.folder / "query.tsq", "-out", self.folder / "reply.tsr"),
                ],
                capture_output=True,
                check=True,
            )
            return (self.folder / "reply.tsr").read_bytes()

    @property
    def url(self) -> str:
        assert self._server, "serve it first: with LocalAuthority(...) as authority"
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> "LocalAuthority":
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Type"] != "application/timestamp-query":
                    self.send_error(415)
                    return
                answer = authority.answer(request)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._server
        self._server.shutdown()
        self._server.server_close()
        self._server = None


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    purpose: x509.ObjectIdentifier | None = None,
    critical: bool = True,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca,
                content_commitment=not ca,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=critical)
    return builder.sign(issuer_key, SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
