"""The live page: this machine, one page, one source of data."""

import http.client
import json
import socket
import struct
import threading
import time

import pytest

from dso.report import Collector, serve
from dso.report.serve import LiveReport, make_server


@pytest.fixture
def server(folder):
    report = LiveReport(Collector([folder]), "live", min_seconds=0.0, max_share=1e9)
    server = make_server(report)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(server, path="/", host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    headers = {} if host is None else {"Host": host}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def test_page_and_data(server):
    answer, body = ask(server)
    assert answer.status == 200
    assert "connect-src &#x27;self&#x27;" in body or "connect-src 'self'" in body
    assert '"live":true' in body
    answer, body = ask(server, "/data")
    assert answer.getheader("Content-Type").startswith("application/json")
    assert len(json.loads(body)["runs"]) == 2


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "", "localhost"])
def test_other_hosts_are_refused(server, host):
    for path in ("/", "/data", "/gone"):
        answer, body = ask(server, path, host)
        assert answer.status == 403
        assert "seed" not in body


def test_localhost_is_a_name_of_this_machine(server):
    answer, _ = ask(server, "/data", f"localhost:{server.server_port}")
    assert answer.status == 200


@pytest.mark.parametrize(
    "path", ["/config.json", "/../config.json", "/data/", "/data?x=1", "/summary.csv"]
)
def test_there_are_no_files(server, path):
    answer, body = ask(server, path)
    assert answer.status == 404
    assert "seed" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_there_is_only_reading(server, method):
    answer, _ = ask(server, method=method)
    assert answer.status == 501


def test_the_data_follow_the_run(server, folder):
    before = json.loads(ask(server, "/data")[1])
    log = folder / "dso_Nguyen-5_0.csv"
    with log.open("a") as file:
        file.write(log.read_text().splitlines()[-1] + "\n")
    after = json.loads(ask(server, "/data")[1])
    assert after["runs"][0]["n_iterations"] == before["runs"][0]["n_iterations"] + 1


def threads():
    return sum("process_request" in thread.name for thread in threading.enumerate())


def test_half_sent_requests_hold_few_threads_and_for_a_while(server, monkeypatch):
    monkeypatch.setattr(server.RequestHandlerClass, "timeout", 0.3)
    clients = []
    for _ in range(60):
        client = socket.create_connection(("127.0.0.1", server.server_port))
        client.sendall(b"GET / HT")
        clients.append(client)
    deadline = time.monotonic() + 20
    while True:  # those that are answered have to have given up on the others
        assert threads() <= serve.MAX_REQUESTS
        try:
            answer, _ = ask(server, "/data")
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.05)
            continue
        assert answer.status == 200
        break
    for client in clients:
        client.close()


def test_a_client_that_goes_leaves_no_traceback(server, capfd):
    for _ in range(5):
        client = socket.create_connection(("127.0.0.1", server.server_port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{server.server_port}\r\n\r\n".encode())
        client.close()  # which resets the connection
    assert ask(server, "/data")[0].status == 200
    while threads():
        time.sleep(0.01)
    assert capfd.readouterr().err == ""
