"""Pages of people: lists, acts on an account, creating accounts, and who may do this."""

from __future__ import annotations

import csv
import html
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from deepoj.accounts.passwords import Passwords, TooManyWaiting
from deepoj.client.sample import USERNAME
from deepoj.web.pages.users import SAMPLE_USER
from deepoj.words.accounts import Account, User
from tests.api.house import House
from tests.web.clicking import PASSWORD, Person, Shown, member, pages_house

PAGE = "/manage/users"


@dataclass
class Scene:
    home: House
    admin: Person
    root: User
    alice: Person
    alice_user: User

    @property
    def of_alice(self) -> str:
        return f"{PAGE}/{self.alice_user.id}"

    async def account(self, user: User | None = None) -> Account:
        found = await self.home.ports.accounts.account((user or self.alice_user).id)
        assert found is not None
        return found

    async def names(self) -> list[str]:
        return [account.user.username for account in await self.home.ports.accounts.accounts(999)]


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    home = pages_house(tmp_path)
    admin, root = await member(home, "root", is_admin=True)
    alice, alice_user = await member(home, "alice")
    return Scene(home, admin, root, alice, alice_user)


def slips_of(shown: Shown) -> list[list[str]]:
    """Return username and password of each slip."""
    found = re.search(r'<ul class="slips">(.*?)</ul>', shown.text, re.DOTALL)
    assert found is not None
    texts = [html.unescape(text) for text in re.findall(r"<code>(?:<bdi>)?(.*?)(?:</bdi>)?</code>", found[1])]
    return [texts[at : at + 2] for at in range(0, len(texts), 2)]


# -- who may


@pytest.mark.parametrize("path", ["", "/new", "/import", "/{id}", "/{id}/disable", "/{id}/password"])
async def test_strangers_log_in_and_members_are_refused(scene: Scene, path: str) -> None:
    where = PAGE + path.format(id=scene.alice_user.id)
    assert (await Person(scene.home).get(where)).location == f"/login?next={where}"
    assert (await scene.alice.get(where)).status == 403


@pytest.mark.parametrize("path", ["/new", "/import", "/slips.csv", "/{id}/disable", "/{id}/promote", "/{id}/password"])
async def test_a_post_needs_an_administrator_and_the_own_form_token(scene: Scene, path: str) -> None:
    where = PAGE + path.format(id=scene.alice_user.id)
    fields = {"username": "mallory", "people": "mallory", "slips": "a\tb\tc"}
    before = await scene.account()
    assert (await scene.alice.post(where, fields)).status == 403
    for token in ("", "forged", scene.alice.form_token):
        refused = await scene.admin.post(where, fields, form_token=token)
        assert refused.status == 403
        assert "attachment" not in refused.headers.get("Content-Disposition", "")
    assert await scene.names() == ["alice", "root"]
    assert await scene.account() == before


# -- lists


async def test_people_are_listed_by_name_in_pages_and_searched(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepoj.web.pages.users._PAGE", 2)
    for name in ("albert", "bob", "bob2"):
        await scene.home.account(name)
    shown = await scene.admin.get(PAGE)
    assert re.findall(r"/manage/users/\d+\"><bdi>(\w+)<", shown.text) == ["albert", "alice"]
    following = re.search(r'rel="next" href="([^"]*)"', shown.text)
    assert following is not None
    shown = await scene.admin.get(html.unescape(following[1]))
    assert re.findall(r"/manage/users/\d+\"><bdi>(\w+)<", shown.text) == ["bob", "bob2"]
    shown = await scene.admin.get(f"{PAGE}?search=AL")
    assert re.findall(r"/manage/users/\d+\"><bdi>(\w+)<", shown.text) == ["albert", "alice"]
    assert 'rel="next"' not in shown.text
    assert "There is no account with this name." in (await scene.admin.get(f"{PAGE}?search=zz")).words


async def test_list_explains_the_administrator_of_the_sample(scene: Scene) -> None:
    assert SAMPLE_USER == USERNAME
    assert "--sample" not in (await scene.admin.get(PAGE)).words
    await member(scene.home, USERNAME, is_admin=True)
    assert "sample was made by deepoj up --sample" in (await scene.admin.get(PAGE)).words


async def test_what_is_searched_is_escaped(scene: Scene) -> None:
    shown = await scene.admin.get(f"{PAGE}?search=%22%3E%3Cscript%3E")
    assert "<script>" not in shown.text
    assert "&#34;&gt;&lt;script&gt;" in shown.text


# -- acts


async def test_the_page_of_an_account_offers_what_changes_it(scene: Scene) -> None:
    shown = await scene.admin.get(scene.of_alice)
    assert "alice@example.com" in shown.words
    assert "Disable account… Make administrator… Reset password…" in shown.words
    own = await scene.admin.get(f"{PAGE}/{scene.root.id}")
    assert "This is your own account" in own.words
    assert "Disable account" not in own.words
    for path in (f"{PAGE}/999999", f"{PAGE}/0", f"{PAGE}/x", f"{scene.of_alice}/delete"):
        assert (await scene.admin.get(path)).status == 404


async def test_an_account_is_disabled_after_a_question_and_enabled_again(scene: Scene) -> None:
    asked = await scene.admin.get(f"{scene.of_alice}/disable")
    assert "Disable alice? All sessions and tokens of the account end at once." in asked.words
    assert "It is logged in with 1 browser." in asked.words
    assert not (await scene.account()).is_disabled
    done = await scene.admin.post(f"{scene.of_alice}/disable", {})
    assert (done.status, done.location) == (303, f"{scene.of_alice}?done=disable")
    assert "The account is disabled." in (await scene.admin.get(done.location)).words
    assert (await scene.account()).is_disabled
    assert (await scene.alice.get("/account")).location.startswith("/login")
    assert "Enable account…" in (await scene.admin.get(scene.of_alice)).words
    assert (await scene.admin.post(f"{scene.of_alice}/enable", {})).status == 303
    assert not (await scene.account()).is_disabled


async def test_an_account_is_promoted_and_demoted(scene: Scene) -> None:
    assert "Make alice an administrator?" in (await scene.admin.get(f"{scene.of_alice}/promote")).words
    assert (await scene.admin.post(f"{scene.of_alice}/promote", {})).status == 303
    assert (await scene.alice.get(PAGE)).status == 200
    assert (await scene.admin.post(f"{scene.of_alice}/demote", {})).status == 303
    assert (await scene.alice.get(PAGE)).status == 403


@pytest.mark.parametrize("act", ["disable", "demote", "password"])
async def test_an_administrator_does_none_of_it_to_the_own_account(scene: Scene, act: str) -> None:
    before = await scene.account(scene.root)
    await scene.admin.get(PAGE)
    assert (await scene.admin.get(f"{PAGE}/{scene.root.id}/{act}")).status == 409
    refused = await scene.admin.post(f"{PAGE}/{scene.root.id}/{act}", {})
    assert refused.status == 409
    assert "ask another administrator" in refused.words
    assert await scene.account(scene.root) == before


async def test_a_reset_password_is_shown_once_and_ends_sessions(scene: Scene) -> None:
    await scene.admin.get(f"{scene.of_alice}/password")
    shown = await scene.admin.post(f"{scene.of_alice}/password", {})
    assert (shown.status, shown.headers["Cache-Control"]) == (200, "no-store")
    ((name, password),) = slips_of(shown)
    assert (name, len(password)) == ("alice", 20)
    assert (await scene.alice.get("/account")).location.startswith("/login")
    assert password not in (await scene.admin.get(scene.of_alice)).text
    assert (await Person(scene.home).log_in("alice")).status == 401
    again = Person(scene.home)
    assert (await again.log_in("alice", password)).status == 303
    assert "set by an administrator" in (await again.get("/account")).words


# -- creating


async def test_one_account_with_a_password_that_is_made(scene: Scene) -> None:
    await scene.admin.get(f"{PAGE}/new")
    fields = {"username": " bob ", "email": "b@x", "password": "", "is_admin": "1"}
    ((name, password),) = slips_of(await scene.admin.post(f"{PAGE}/new", fields))
    assert re.fullmatch(r"([2-9a-z]{4}-){2}[2-9a-z]{4}", password)
    found = await scene.home.ports.accounts.credentials(name)
    assert found is not None
    account = await scene.account(found.user)
    assert (account.user.email, account.user.is_admin, account.password_is_temporary) == ("b@x", False, True)
    assert (await Person(scene.home).log_in("bob", password)).status == 303


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"username": "ALICE"}, 409),
        ({"username": "<b>"}, 400),
        ({"username": "bob", "email": "x"}, 400),
        ({"username": "bob", "password": "short"}, 400),
    ],
)
async def test_one_refused_account_keeps_what_was_typed(scene: Scene, fields: dict[str, str], status: int) -> None:
    await scene.admin.get(f"{PAGE}/new")
    shown = await scene.admin.post(f"{PAGE}/new", fields)
    assert shown.status == status
    assert 'role="alert"' in shown.text
    assert f'value="{html.escape(fields["username"])}"' in shown.text
    assert "short" not in shown.text.partition("<form class")[2]
    assert await scene.names() == ["alice", "root"]


async def test_many_accounts_of_a_file_with_slips_and_a_download(scene: Scene) -> None:
    await scene.admin.get(f"{PAGE}/import")
    shown = await scene.admin.upload(f"{PAGE}/import", {"people": ""}, "bob,=b@x,-secret-1\ncarol\n王小明\n".encode())
    assert shown.status == 200
    assert "3 accounts are created" in shown.words
    slips = slips_of(shown)
    assert [name for name, _ in slips] == ["bob", "carol", "王小明"]
    assert slips[0][1] == "-secret-1"
    for name, password in slips:
        assert (await Person(scene.home).log_in(name, password)).status == 303
    sent = re.search(r'name="slips" value="([^"]*)"', shown.text)
    assert sent is not None
    file = await scene.admin.post(f"{PAGE}/slips.csv", {"slips": html.unescape(sent[1])})
    assert file.headers["Content-Disposition"] == 'attachment; filename="accounts.csv"'
    rows = list(csv.reader(io.StringIO(file.text.removeprefix("\ufeff"), newline="")))
    assert rows[:2] == [["username", "email", "password", "group"], ["bob", "'=b@x", "'-secret-1", ""]]
    assert [row[2] for row in rows[2:]] == [password for _, password in slips[1:]]


async def test_slips_name_the_group_and_nothing_on_their_page_leaves_it_by_chance(scene: Scene) -> None:
    await scene.admin.get(f"{PAGE}/import")
    shown = await scene.admin.post(f"{PAGE}/import", {"people": "username,group\nbob,Class 7"})
    assert "Group of people Class 7 Username bob" in shown.words
    assert 'action="/preferences"' not in shown.text
    assert "data-print hidden>Print</button>" in shown.text
    sent = re.search(r'name="slips" value="([^"]*)"', shown.text)
    assert sent is not None
    file = await scene.admin.post(f"{PAGE}/slips.csv", {"slips": html.unescape(sent[1])})
    assert file.text.splitlines()[1].endswith(",Class 7")


async def test_a_list_is_counted_while_passwords_are_hashed_for_a_script_that_asks(scene: Scene) -> None:
    scene.admin.headers["X-Progress"] = "1"
    await scene.admin.get(f"{PAGE}/import")
    shown = await scene.admin.post(f"{PAGE}/import", {"people": "dora\nemil\nfritz"})
    assert re.findall(r"<!-- .* -->", shown.text) == [f"<!-- {done} of 3 -->" for done in (1, 2, 3)]
    assert shown.text.startswith("<!-- 1 of 3 -->\n")
    assert [name for name, _ in slips_of(shown)] == ["dora", "emil", "fritz"]
    assert shown.status == 200
    assert "default-src" in shown.headers["Content-Security-Policy"]
    again = await scene.admin.post(f"{PAGE}/import", {"people": "dora\ngerd"})
    assert (again.status, "<!--" in again.text) == (422, False), "a name that is taken is seen before the work"


async def test_a_refusal_in_counted_work_shows_the_form_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_self: Passwords, _password: str, _subject: str = "") -> str:
        raise TooManyWaiting

    scene.admin.headers["X-Progress"] = "1"
    await scene.admin.get(f"{PAGE}/import")
    monkeypatch.setattr(Passwords, "hash", refuse)
    shown = await scene.admin.post(f"{PAGE}/import", {"people": "dora\nemil"})
    assert "Too many logins at the moment" in shown.words
    assert "dora\nemil</textarea>" in shown.text


async def test_nothing_is_created_of_a_list_with_a_fault_and_each_line_is_reported(scene: Scene) -> None:
    await scene.admin.get(f"{PAGE}/import")
    typed = "bob\nALICE\n<script>,x\nbob"
    shown = await scene.admin.post(f"{PAGE}/import", {"people": typed})
    assert shown.status == 422
    assert "4 faults were found. No account was created" in shown.words
    assert "2 “ALICE” is taken. Choose another name, or remove the line. 3 “<script>” cannot be" in shown.words
    assert "3 “x” is not an e-mail address." in shown.words
    assert "4 The name is in line 1 already." in shown.words
    assert "<script>" not in shown.text
    assert html.escape(typed) in shown.text
    assert await scene.names() == ["alice", "root"]


async def test_name_is_reported_as_taken_or_repeated_on_a_line_with_another_fault(scene: Scene) -> None:
    await scene.admin.get(f"{PAGE}/import")
    shown = await scene.admin.post(f"{PAGE}/import", {"people": "bob\nalice,x\nBob,y"})
    assert "2 “alice” is taken." in shown.words
    assert "3 The name is in line 1 already." in shown.words


async def test_file_in_gb18030_is_shown_before_accounts_are_created(scene: Scene) -> None:
    await scene.admin.get(f"{PAGE}/import")
    text = "用户名,班级\r\n王小明,七班\r\n"
    shown = await scene.admin.upload(f"{PAGE}/import", {"people": ""}, text.encode("gb18030"))
    assert "It was read as GB18030" in shown.words
    assert "王小明,七班" in shown.text
    assert await scene.names() == ["alice", "root"]
    typed = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", shown.text, re.DOTALL)
    assert typed is not None
    shown = await scene.admin.post(f"{PAGE}/import", {"people": html.unescape(typed[1])})
    assert [name for name, _ in slips_of(shown)] == ["王小明"]


async def test_a_name_that_is_taken_meanwhile_creates_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_taken(_names: object) -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr(scene.home.store, "taken_names", none_taken)
    await scene.admin.get(f"{PAGE}/import")
    shown = await scene.admin.post(f"{PAGE}/import", {"people": "bob\nalice"})
    assert "2 “alice” is taken." in shown.words
    assert await scene.names() == ["alice", "root"]


async def test_a_long_list_is_refused_before_it_is_read_whole(scene: Scene) -> None:
    await scene.admin.get(f"{PAGE}/import")
    shown = await scene.admin.upload(f"{PAGE}/import", {}, b"x" * 300_000)
    assert shown.status == 413
    assert await scene.names() == ["alice", "root"]


async def test_the_pages_in_chinese(scene: Scene) -> None:
    admin, _ = await member(scene.home, "admin2", is_admin=True, language="zh")
    await admin.get(f"{PAGE}/import")
    shown = await admin.post(f"{PAGE}/import", {"people": "a"})
    assert "“a”不能用作用户名" in shown.words
    assert (await admin.get(f"{scene.of_alice}/disable")).words.count("停用 alice") == 1


async def test_an_old_password_of_a_page_is_not_that_of_the_account(scene: Scene) -> None:
    """The account's own password still works when an administrator only looks at the page that asks."""
    await scene.admin.get(f"{scene.of_alice}/password")
    assert (await Person(scene.home).log_in("alice", PASSWORD)).status == 303
