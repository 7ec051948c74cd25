"""States of pages that test_pages.py does not meet, in Chromium and before the checker of HTML.

Secrets that are shown once, an erased account, a dead letter, a finished audit, verifications and previews, a list with
faults, and a statement with all that one may have.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

import pytest
import trio
from playwright.sync_api import Browser

from deepoj.api.statement_answers import FOREIGN_POLICY
from deepoj.judging.verifications import example_of_json
from deepoj.observe import Metrics
from deepoj.pipeline.preview import settle_preview_job, sweep_previews
from deepoj.pipeline.verify import settle_example
from deepoj.web.assets import Assets
from deepoj.web.visitor import LANGUAGE, THEME
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.words.results import Infra, Verdict
from deepoj.words.statements import (
    RENDERER_VERSION,
    StatementFile,
    StatementFileKind,
    StatementKind,
    StatementSample,
    StatementSet,
    StatementText,
)
from tests.api.house import PASSWORD, House, house, package
from tests.api.test_dlq import dies
from tests.contract.labs import entry
from tests.unit.makers import a_report
from tests.web.browser import Look, chromium
from tests.web.html_checker import errors_of
from tests.web.pages import Shown, Who
from tests.web.planted import Planted, planted
from tests.web.png import _SIGNATURE, _chunk
from tests.web.scene import add_problem, add_submission
from tests.web.test_verify import KATTIS, LANGUAGES, PROMISED
from tests.web.visits import Reply, Visit, administrator, registered

LONG = "a-name-of-one-hundred-letters-that-has-no-place-where-a-browser-would-break-it-" + "x" * 21
#: wider than every window
PIXEL_ROWS = zlib.compress((b"\0" + b"\x80" * 2000) * 20)
PNG = _SIGNATURE + b"".join(
    map(_chunk, ((b"IHDR", struct.pack(">IIBBBBB", 2000, 20, 8, 0, 0, 0, 0)), (b"IDAT", PIXEL_ROWS), (b"IEND", b"")))
)
PICTURE = StatementFile(kind=StatementFileKind.SHOWN, name="picture.png", media_type="image/png", content=PNG)
FILES = (
    PICTURE,
    StatementFile(kind=StatementFileKind.SHOWN, name="sum.pdf", media_type="application/pdf", content=b"%PDF-1.4"),
    StatementFile(kind=StatementFileKind.ATTACHMENT, name=f"{LONG}.zip", media_type="application/zip", content=b"PK"),
)
FORMULA = "<math display='block'><mrow><mi>s</mi><mo>=</mo><mi>a</mi><mo>+</mo><mi>b</mi></mrow></math>"
NAMES = (
    "secret-token", "secret-webhook", "erased", "letter", "audit-clean", "audit-faults", "verifying", "verified",
    "previewing", "previewed", "import-faults", "statement", "statement-setter",
)  # fmt: skip
#: both languages and themes, each wide and narrow
LOOKS = tuple(
    Look(language=language, theme=theme, width=width)
    for language, theme in (("en", "light"), ("zh", "dark"))
    for width in (390, 1400)
)
SEEN = {
    "letter": "4.15 Dead letters",
    "audit-clean": "Each submission has exactly one verdict",
    "audit-faults": "row_missing",
    "verifying": "0 of 3 submissions are judged.",
    "verified": "differ from what the package promises",
    "previewing": "1 of 2 judged again",
    "previewed": "1 submission could not be judged",
    "import-faults": "3 faults were found",
    "statement": "Attachments",
    "statement-setter": "For setters: what could not be shown",
}


class Maker:
    """Brings pages into these states. ``language`` and ``theme``: of all visitors."""

    def __init__(self, home: House, look: Look) -> None:
        self.home, self.look, self.made = home, look, dict[str, Planted]()

    def keep(self, name: str, reply: Reply, status: int = 200) -> None:
        assert reply.status == status, (name, reply.text)
        wanted = ("Content-Type", "Content-Security-Policy")
        self.made[name] = Planted(reply.text.encode(), {key: reply.headers[key] for key in wanted})

    def seen_by(self, visit: Visit) -> Visit:
        visit.cookies |= {LANGUAGE: self.look.language, THEME: self.look.theme}
        return visit

    async def make(self) -> dict[str, Planted]:
        chief = self.seen_by(await administrator(self.home, "chief"))
        await self.make_secrets()
        await self.make_operating(chief)
        await self.make_verifications(chief)
        await self.make_previews(chief)
        typed = f"bob\nchief\n{LONG},{LONG}\n"
        self.keep("import-faults", await chief.post("/manage/users/import", {"people": typed}), 422)
        await self.make_statements(chief)
        return self.made

    async def make_secrets(self) -> None:
        alice = self.seen_by(await registered(self.home, "alice"))
        self.keep("secret-token", await alice.post("/account/token", {"name": "laptop", "password": PASSWORD}))
        self.keep("secret-webhook", await alice.post("/account/webhook-secret", {"act": "show"}))
        await alice.get("/account/erase")
        self.keep("erased", await alice.post("/account/erase", {"password": PASSWORD}))

    async def make_operating(self, chief: Visit) -> None:
        home = self.home
        await home.account("owner")
        number = await add_problem(home)
        await chief.post("/manage/system/audit")
        await home.context.audits.run_next(home.store)
        self.keep("audit-clean", await chief.get("/manage/system"))
        lost, job_id = [await add_submission(home, "owner", number, code=code) for code in ("lost", "dead")]
        await dies(home, job_id)
        self.keep("letter", await chief.get(f"/manage/system/letters/{job_id}"))
        await home.store.claim([entry(lost)], "node-a", 60.0, 5)
        home.store.rows.pop(lost)
        await chief.post("/manage/system/audit")
        await home.context.audits.run_next(home.store)
        self.keep("audit-faults", await chief.get("/manage/system"))

    async def make_verifications(self, chief: Visit) -> None:
        home, number = self.home, await self.home.problem()
        home.blobs.objects[f"problems/{number}.zip"] = package(KATTIS)
        path, leases = f"/manage/problems/{number}/verify", home.ports.example_leases
        assert (await chief.post(path, {"act": "start"})).status == 303
        self.keep("verifying", await chief.get(path))
        reports = PROMISED | {"good": a_report(Verdict.RUNTIME_ERROR)}
        while (claim := await leases.claim("node", 60.0, 2, LANGUAGES)) is not None:
            name = example_of_json(claim.example).name
            await settle_example(leases, claim, next(report for part, report in reports.items() if part in name))
        await leases.sweep_verifications(2, 60.0)
        self.keep("verified", await chief.get(path))

    async def make_previews(self, chief: Visit) -> None:
        home, number = self.home, await self.home.problem()
        for code in ("first", "second"):
            await add_submission(home, "owner", number, code=code, report=a_report(Verdict.WRONG_ANSWER))
        path = (await chief.post(f"/manage/problems/{number}/rejudge", {"act": "preview"})).location
        leases, metrics = home.ports.preview_leases, Metrics()
        for name, outcome in (("previewing", a_report()), ("previewed", Infra("sandbox", LONG))):
            claim = await leases.claim("node", 60.0, 2, ("cpp17",))
            assert claim is not None
            await settle_preview_job(leases, metrics, claim, outcome)
            await sweep_previews(leases, metrics)
            self.keep(name, await chief.get(path))

    async def make_statements(self, chief: Visit) -> None:
        number = await add_problem(self.home, title="Sum", description="")
        picture = f"/api/v1/problems/{number}/statement/files/picture.png"
        html = f'<p>Add.</p><figure><img src="{picture}" alt="Two bars"></figure>{FORMULA}<pre>{LONG}</pre>'
        found = StatementSet(
            texts=(StatementText(language="en", title="Sum", kind=StatementKind.HTML, html=html, pdf="sum.pdf"),),
            samples=(
                StatementSample(input=f"{LONG}\n", output="3\n"),
                StatementSample(input="", output="", interaction="<1 2\n>3\n"),
            ),
            files=FILES,
            notes=(f"statement.tex, line 1: {LONG} is not known.",),
        )
        statements = self.home.ports.statements
        assert await statements.keep_statements(number, "00", found, renderer=RENDERER_VERSION)
        path = f"/problems/{number}"
        self.keep("statement", await self.seen_by(await registered(self.home, "reader")).get(path))
        self.keep("statement-setter", await chief.get(path))
        headers = {"Content-Type": "image/png", "Content-Security-Policy": FOREIGN_POLICY}
        self.made[f"{path}/statement/files/picture.png"] = Planted(PNG, headers)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Planted]]:
    """Language → name of a state, or path of a file → the answer."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.api.house.Assets", Assets.load)  # its pages have scripts and styles
        for look in LOOKS[::2]:
            rules = CallbackRules.of(enabled=True, hosts=(), networks=())
            home = house(tmp_path_factory.mktemp("states"), has_pages=True, callbacks=rules)
            found[look.language] = trio.run(Maker(home, look).make)
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "look", [pytest.param(look, marks=() if look is LOOKS[0] else pytest.mark.full, id=str(look)) for look in LOOKS]
)
def test_state_of_a_page_is_sound(
    browser: Browser, states: Mapping[str, Mapping[str, Planted]], look: Look, name: str
) -> None:
    answers = states[look.language]
    files = {path: answer for path, answer in answers.items() if path.startswith("/")}
    shown = Shown(path=f"/{name}", who=Who.STRANGER, has_editor=name.startswith("statement"))
    with planted(browser, {shown.path: answers[name], **files}, look) as watcher:
        watcher.visit(shown)
        watcher.received = 0  # files come as they are; test_pages.py has the budgets
        watcher.check(shown)
        if look.language == "en" and name in SEEN:
            assert SEEN[name] in watcher.page.inner_text("main")
        if shown.has_editor:
            assert watcher.page.evaluate("document.querySelector('.rendered img').naturalWidth") == 2000


def test_html_of_these_states_has_no_error(states: Mapping[str, Mapping[str, Planted]]) -> None:
    documents = {
        f"{name}-{language}": answers[name].body.decode() for language, answers in states.items() for name in NAMES
    }
    assert errors_of(documents) == []
