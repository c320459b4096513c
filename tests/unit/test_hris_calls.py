"""What every adapter's calls keep: how long to wait, which words are shown, where a password may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path

import pytest

from timeoff.errors import SettingsError
from timeoff.hris.address import check_base_url
from timeoff.hris.calls import clean, one_line, repeats, retry_after, trust
from timeoff.hris.documents import is_id, parse

NOTE = "Kniearthroskopie am linken Bein"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("999999999", 86_400.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("²", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds


def test_retry_after_as_a_date_is_relative_to_the_servers_clock() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    headers = {"Date": format_datetime(now, usegmt=True)}
    headers["Retry-After"] = format_datetime(now + timedelta(seconds=90), usegmt=True)
    assert retry_after(headers) == 90
    headers["Retry-After"] = format_datetime(now - timedelta(seconds=90), usegmt=True)
    assert retry_after(headers) == 0


@pytest.mark.parametrize(
    ("text", "private", "found"),
    [
        (f"Note '{NOTE}' too long", NOTE, True),
        ("Bad note: kniearthrosk…", NOTE, True),
        ("flu is not allowed", "Flu", True),
        ("Invalid time off type", NOTE, False),
        ("anything", None, False),
        ("anything", "  ", False),
        # What was sent is the cleaned note, and it may come back cleaned further.
        ("'HIVpos' is not allowed", "HIV\u200bpos", True),
        ("'HIVpos' is not allowed", "HIV\u00adpos\0", True),
        ("'AIDS' is not allowed", "AIDS\u200d", True),
        ("'H\u200bIV' is not allowed", "HIV", True),
        ("'KNIE ARTHROSE' is not allowed", "Knie\n\tArthrose", True),
        ("'Entzu\u0308ndung' is not allowed", "Entz\u00fcndung", True),
        ("'Entz\u00fcndung' is not allowed", "Entzu\u200b\u0308ndung", True),
        ("anything", "\u200b", False),
    ],
)
def test_words_that_repeat_a_note_are_recognised(text: str, private: str | None, found: bool) -> None:
    assert repeats(text, private) is found
    assert repeats(text, None, "elsewhere", private) is found


def test_words_are_one_short_line() -> None:
    assert one_line("Invalid\r\n type\x00 " + "x" * 1000, 300) == "Invalid type " + "x" * 287


def test_notes_lose_control_characters_only() -> None:
    assert clean(" a\0b\nc\td ") == "ab\nc\td"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("https://acme.staffr.us", None),
        ("http://127.0.0.1:8080", None),
        ("http://portal.localhost/x", None),
        ("http://acme.staffr.us", "show the password"),
        ("ftp://x", "must start with https"),
        ("acme", "must start with https"),
        ("https://x:99999", "not a URL"),
        ("https://u:p@x.example", "must not hold credentials"),
        ("https://x.example?a=b", "query or fragment"),
    ],
)
def test_addresses_to_which_nothing_secret_goes(url: str, complaint: str | None) -> None:
    if complaint is None:
        check_base_url(url, insecure_http=False, shows="the password")
        return
    with pytest.raises(ValueError, match=complaint):
        check_base_url(url, insecure_http=False, shows="the password")


def test_plain_http_elsewhere_is_possible_on_purpose() -> None:
    check_base_url("http://acme.staffr.us", insecure_http=True, shows="the password")


def test_a_file_without_certificates_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    with pytest.raises(SettingsError, match="ca_file"):
        trust(verify=True, ca_file=empty)
    assert trust(verify=True, ca_file=None) is True
    assert trust(verify=False, ca_file=None) is False


@pytest.mark.parametrize("text", ["0", "07", "", "4/../5", "-1", "４", "1.0", "9" * 20])
def test_what_is_no_id_never_reaches_a_path(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
        b"[NaN]",
        b"\x00",
        b"[1e99999999999999999999]",
        b"[9e999999]",
        b"[-1e-999999]",
        b"1" * 5000,
    ],
)
def test_what_is_not_json_is_one_error(body: bytes) -> None:
    """Numbers without end among it: nothing may be calculated with them."""
    with pytest.raises(ValueError, match="not JSON"):
        parse(body)


def test_numbers_are_exact_as_far_as_a_double_reaches() -> None:
    assert parse(b"[0.1, 1e308, -2.5e-308, 0.0]") == [
        Decimal("0.1"),
        Decimal("1e308"),
        Decimal("-2.5e-308"),
        0,
    ]
