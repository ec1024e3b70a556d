import shutil
import ssl

import pytest
from alert_doubles import Box, make_authority


@pytest.fixture
def box(tmp_path):
    made = Box(tmp_path / "ledger.db")
    yield made
    made.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the test's certificates; it is not installed")
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    return context
