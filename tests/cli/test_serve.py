"""`hyperadapters serve`."""

import socket


def test_mistakes(quick_run, tmp_path, refused, monkeypatch):
    monkeypatch.delenv("HYPERADAPTERS_API_KEY", raising=False)
    assert "HYPERADAPTERS_API_KEY" in refused("serve", quick_run, "--host", "0.0.0.0")
    assert "not a run folder" in refused("serve", tmp_path)
    assert "--port" in refused("serve", quick_run, "--port", "70000")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port}" in refused("serve", quick_run, "--port", port)


def test_help_names_the_key(command):
    told = command("serve", "--help").out
    assert "HYPERADAPTERS_API_KEY" in told and "127.0.0.1" in told and "8000" in told


def test_the_address_is_told(quick_run, command, monkeypatch):
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    outcome = command("serve", quick_run, "--port", "0")
    assert outcome.status == 0 and "http://127.0.0.1:" in outcome.out
