"""Runtime: a stop drains, a crash ends the process with its reason, each way out has its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from timeoff.errors import PartCrashed
from timeoff.runtime import supervisor
from timeoff.runtime.supervisor import supervise


def part_up(name: str) -> float | None:
    return REGISTRY.get_sample_value("timeoff_part_up", {"part": name})


async def test_parts_finish_their_running_work_before_the_end() -> None:
    stop, finished = asyncio.Event(), []

    async def worker(asked: asyncio.Event) -> None:
        assert part_up("worker") == 1
        await asked.wait()
        await asyncio.sleep(0.05)
        finished.append("worker")

    asyncio.get_running_loop().call_soon(stop.set)
    await supervise({"worker": worker}, drain=5, stop=stop)
    assert finished == ["worker"]
    assert part_up("worker") == 0


async def test_a_part_that_does_not_end_is_cancelled_after_the_drain_time() -> None:
    stop, cancelled = asyncio.Event(), asyncio.Event()

    async def stubborn(_: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    stop.set()
    started = asyncio.get_running_loop().time()
    await supervise({"stubborn": stubborn}, drain=0.1, stop=stop)
    assert cancelled.is_set()
    assert 0.09 < asyncio.get_running_loop().time() - started < 2


async def test_a_crash_stops_and_drains_the_others_and_names_the_part() -> None:
    drained = asyncio.Event()

    async def crashing(_: asyncio.Event) -> None:
        raise ZeroDivisionError

    async def worker(asked: asyncio.Event) -> None:
        await asked.wait()
        await asyncio.sleep(0.02)
        drained.set()

    with pytest.raises(PartCrashed) as caught:
        await supervise({"crashing": crashing, "worker": worker}, drain=5)
    assert caught.value.name == "crashing"
    assert isinstance(caught.value.cause, ZeroDivisionError)
    assert drained.is_set()


async def test_a_part_that_returns_unasked_is_a_crash_too() -> None:
    async def brief(_: asyncio.Event) -> None: ...

    async def worker(asked: asyncio.Event) -> None:
        await asked.wait()

    with pytest.raises(PartCrashed, match="part brief ended"):
        await supervise({"brief": brief, "worker": worker}, drain=5)


async def test_a_crash_while_draining_is_not_lost() -> None:
    stop = asyncio.Event()

    async def failing(asked: asyncio.Event) -> None:
        await asked.wait()
        await asyncio.sleep(0.02)
        raise ZeroDivisionError

    asyncio.get_running_loop().call_soon(stop.set)
    with pytest.raises(PartCrashed, match="failing"):
        await supervise({"failing": failing}, drain=5, stop=stop)


async def test_a_part_may_ask_for_the_stop_itself() -> None:
    stop = asyncio.Event()

    async def last(asked: asyncio.Event) -> None:
        asked.set()

    await supervise({"last": last}, drain=5, stop=stop)


async def test_cancelling_the_supervisor_cancels_its_parts() -> None:
    running, cancelled = asyncio.Event(), asyncio.Event()

    async def worker(_: asyncio.Event) -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(supervise({"worker": worker}, drain=60))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


async def test_a_part_that_ignores_its_cancellation_does_not_hold_the_end_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "CANCEL_GRACE", 0.05)
    stop, release = asyncio.Event(), asyncio.Event()

    async def deaf(_: asyncio.Event) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    stop.set()
    async with asyncio.timeout(5):
        await supervise({"deaf": deaf}, drain=0.05, stop=stop)
    release.set()


PROCESS = """
    import asyncio, sys
    from timeoff.errors import SettingsError, TopicMissing, Unreachable
    from timeoff.runtime import failpoints, process
    from timeoff.runtime.supervisor import supervise
    from timeoff.settings.model import Settings

    async def worker(stop):
        print("ready", flush=True)
        await stop.wait()
        {worker}

    async def main():
        {main}
        await supervise({{"worker": worker}}, drain={drain})

    sys.exit(process.run(main, Settings(), service="test"))
"""


def start(
    main: str = "pass", worker: str = "pass", drain: float = 5, **environ: str
) -> subprocess.Popen[str]:
    code = textwrap.dedent(PROCESS).format(main=main, worker=worker, drain=drain)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIMEOFF_")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean | environ,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, list[dict]]:
    try:
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, [json.loads(line) for line in err.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_zero(number: signal.Signals) -> None:
    process = start(worker="await asyncio.sleep(0.1); print('finished', flush=True)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "finished\n"
    code, lines = end(process)
    assert code == 0
    assert [line["action"] for line in lines] == [
        "process.started",
        "process.signal",
        "process.draining",
        "process.stopped",
    ]


def test_a_second_signal_does_not_wait_and_names_what_it_cut() -> None:
    process = start(worker="print('draining', flush=True); await asyncio.sleep(60)", drain=60)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "draining\n"
    process.send_signal(signal.SIGTERM)
    code, lines = end(process)
    assert code == 0
    assert [line["part"] for line in lines if line["action"] == "part.cancelled"] == ["worker"]


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        ("SettingsError(['genesys.client_id: is not set'])", 2),
        ("Unreachable('postgresql at 127.0.0.1:1: connection refused')", 3),
        ("TopicMissing('topic timeoff.requests is missing')", 3),
        ("ValueError('severe flu')", 1),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(raised: str, code: int) -> None:
    returned, lines = end(start(main=f"raise {raised}"))
    assert returned == code
    failed = [line for line in lines if line["action"] == "process.failed"]
    assert len(failed) == 1
    assert failed[0]["exit_code"] == code
    if code == 1:
        assert failed[0]["error"] == "ValueError"
        assert "flu" not in json.dumps(lines)
    else:
        assert "where" not in failed[0]
        assert (
            "is not set" in json.dumps(failed)
            or "refused" in json.dumps(failed)
            or "missing" in json.dumps(failed)
        )


def test_a_part_crashed_by_an_unreachable_dependency_ends_with_three() -> None:
    process = start(worker="raise Unreachable('kafka gone')")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    code, lines = end(process)
    assert code == 3
    assert lines[-1]["part"] == "worker"
    assert lines[-1]["reason"] == "kafka gone"


def test_an_armed_kill_ends_the_process_like_a_power_cut() -> None:
    hit = "await failpoints.hit('sync.after-call')"
    hits = f"{hit}; print('one', flush=True); {hit}"
    process = start(main=hits, TIMEOFF_FAILPOINTS="sync.after-call=kill@2")
    assert process.stdout is not None
    assert process.stdout.readline() == "one\n"
    assert end(process)[0] == -signal.SIGKILL


def test_an_armed_exit_ends_with_its_code_and_no_clean_up() -> None:
    code, lines = end(
        start(main="await failpoints.hit('sync.after-call')", TIMEOFF_FAILPOINTS="sync.after-call=exit:9")
    )
    assert code == 9
    assert [line["action"] for line in lines] == ["process.started"]


def test_an_unknown_failpoint_ends_with_two_before_anything_runs() -> None:
    code, lines = end(start(TIMEOFF_FAILPOINTS="nobody.knows=kill"))
    assert code == 2
    assert "nobody.knows" in lines[-1]["problems"][0]


def test_a_failed_task_nobody_asked_for_leaves_no_data_in_the_log() -> None:
    main = (
        "f = lambda: int('severe flu'); t = asyncio.get_running_loop().create_future(); "
        "t.set_exception(ValueError('severe flu')); del t; import gc; gc.collect(); raise Unreachable('end')"
    )
    code, lines = end(start(main=main))
    assert code == 3
    assert "process.unhandled" in [line["action"] for line in lines]
    assert "flu" not in json.dumps(lines)


def cli(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIMEOFF_")}
    command = [str(Path(sys.executable).with_name("timeoff-sync")), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=clean | environ, timeout=30, check=False
    )


def test_config_prints_what_is_in_force_with_secrets_masked() -> None:
    import tomllib

    environ = {"TIMEOFF_GENESYS__CLIENT_SECRET": "hunter2", "TIMEOFF_SYNC__LANES": "9"}
    as_toml, as_json = cli("config", **environ), cli("config", "--json", **environ)
    assert (as_toml.returncode, as_json.returncode) == (0, 0)
    assert "hunter2" not in as_toml.stdout + as_json.stdout
    printed = json.loads(as_json.stdout)
    assert printed["genesys"]["client_secret"] == "**********"
    assert printed["sync"]["lanes"] == 9
    assert tomllib.loads(as_toml.stdout)["sync"]["lanes"] == 9


def test_config_names_all_mistakes_and_ends_with_two(tmp_path: Path) -> None:
    wrong = cli("config", "--config", str(tmp_path / "absent"), TIMEOFF_ORGG="x", TIMEOFF_SYNC__LANES="none")
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert "Traceback" not in wrong.stderr
    for key in ("config", "TIMEOFF_ORGG", "sync.lanes"):
        assert f"settings: {key}: " in wrong.stderr


def test_version_and_wrong_usage() -> None:
    assert cli("--version").stdout.startswith("timeoff-sync ")
    assert cli("config", "--no-such-option").returncode == 2
