"""Certificates for TLS: a local authority of the yard's own, and what it signs for the names that the yard has.

Whoever reaches the yard under these names trusts the authority once; its key never leaves the home. Certificates of a
public authority are given instead where there are any.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from modelyard.store.disk import disk
from modelyard.store.private_files import replace_private

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 397
"""What browsers take of an authority's certificate at most is 398."""
RENEW_DAYS = 30
"""With so little left a certificate is made anew."""

_BACKDATED = timedelta(hours=1)
"""Clocks of clients differ."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate with its chain, and its key, lie."""

    chain: Path
    key: Path


def local_certificate(folder: Path, names: tuple[str, ...], now: datetime | None = None) -> Certificate:
    """A certificate of the local authority for these host names and addresses, made where there is none that is good
    for all of them and long enough. Raises StoreFailed."""
    at = now or datetime.now(UTC)
    found = Certificate(folder / "certificate.pem", folder / "certificate.key")
    with disk("write", folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _serves(found, names, at):
            authority, key = _authority(folder, at)
            _make(found, names, authority, key, at)
    return found


def authority_path(folder: Path) -> Path:
    """What clients are told to trust."""
    return folder / "authority.pem"


def _authority(folder: Path, at: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path, key_path = authority_path(folder), folder / "authority.key"
    if path.exists() and key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return x509.load_pem_x509_certificate(path.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Modelyard local authority")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key, at, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    replace_private(key_path, _key_pem(key))
    replace_private(path, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _make(
    where: Certificate,
    names: tuple[str, ...],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    at: datetime,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Modelyard")])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(subject, authority.subject, key, at, CERTIFICATE_DAYS)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    replace_private(where.key, _key_pem(key))
    replace_private(where.chain, certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, at: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACKDATED)
        .not_valid_after(at + timedelta(days=days))
    )


def _serves(found: Certificate, names: tuple[str, ...], at: datetime) -> bool:
    if not (found.chain.exists() and found.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(found.chain.read_bytes())
    if certificate.not_valid_after_utc - at < timedelta(days=RENEW_DAYS):
        return False
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(_name(one) in named for one in names)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
