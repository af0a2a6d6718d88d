"""The live page in a real Chromium, over a gateway that does what a test asks of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

from models.text import fold
from stream.records import Feedback
from tests.e2e.gateway import PAGE, TOKEN, Gateway, alert, article, story, summary

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Locator, Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

BARGE = "Barge strikes the bridge at Salt River"
AIRPORT = "إغلاق مطار المدينة بعد عاصفة رملية"
POWER = "Panne géante : la vallée sans électricité"


def cards(page: Page) -> Locator:
    return page.locator(".item")


def card(page: Page, title: str) -> Locator:
    return page.locator(".item", has_text=title)


async def is_live(page: Page) -> None:
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")


async def opened(page: Page, gateway: Gateway, query: str = "") -> None:
    await page.goto(gateway.url + "/" + query)
    await is_live(page)


def three_languages() -> list[object]:
    return [
        alert(BARGE, ago=300, topic="economy"),
        alert(POWER, lang="fr", ago=200, topic=None, articles=[article("vallee.example", POWER)]),
        alert(AIRPORT, lang="ar", ago=100, articles=[article("al-nahr.example", AIRPORT)]),
    ]


async def test_an_alert_comes_on_top_without_reloading(page: Page, gateway: Gateway) -> None:
    gateway.send(alert(BARGE, ago=60))
    await opened(page, gateway)
    await expect(cards(page)).to_have_count(1)
    gateway.send(alert(AIRPORT, lang="ar"))
    await expect(cards(page)).to_have_count(2)
    headline = cards(page).first.locator(".headline span")
    await expect(headline).to_have_text(AIRPORT)
    await expect(headline).to_have_attribute("lang", "ar")
    assert await headline.evaluate("node => getComputedStyle(node).direction") == "rtl"
    await expect(page.locator("#said")).to_contain_text(AIRPORT)


async def test_a_revision_changes_its_card_in_place(page: Page, gateway: Gateway) -> None:
    gateway.send(alert(BARGE, ago=60), alert(POWER, lang="fr"))
    await opened(page, gateway)
    await card(page, BARGE).evaluate("node => { node.isTheSame = true; }")
    gateway.send(alert("Bridge at Salt River shut", "confirmed", name=BARGE))
    changed = cards(page).nth(1)
    await expect(changed).to_contain_text("Bridge at Salt River shut")
    await expect(changed).to_have_attribute("data-kind", "confirmed")
    await expect(cards(page)).to_have_count(2)
    assert await changed.evaluate("node => node.isTheSame")


async def test_an_older_revision_that_comes_late_changes_nothing(page: Page, gateway: Gateway) -> None:
    gateway.send(alert(BARGE, "confirmed", ago=10))
    await opened(page, gateway)
    gateway.send(alert(BARGE, ago=60), alert(POWER, lang="fr"))
    await expect(cards(page)).to_have_count(2)
    await expect(card(page, BARGE)).to_have_attribute("data-kind", "confirmed")


async def test_a_retraction_is_struck_through_and_says_why(page: Page, gateway: Gateway) -> None:
    gateway.send(alert(BARGE, ago=60))
    await opened(page, gateway)
    gateway.send(alert(BARGE, "retracted", reasons=["withdrawn"]))
    await expect(card(page, BARGE).locator("s")).to_have_text(BARGE)
    await expect(card(page, BARGE)).to_contain_text("An editor withdrew it.")


async def test_a_summary_lists_what_was_held_back_and_leads_to_it(page: Page, gateway: Gateway) -> None:
    held = alert("Ferry runs again", ago=30)
    gateway.stories[held.story_id or ""] = story(held, alerted_at=None, held_back_at=held.alerted_at, revision=0)
    gateway.send(summary("Ferry runs again", "Siren test in Eastport"))
    await opened(page, gateway)
    await expect(page.locator(".held li")).to_have_count(2)
    await page.get_by_role("button", name="Ferry runs again").click()
    await expect(page).to_have_url(re.compile("story=en-"))
    await expect(page.locator(".item.open")).to_contain_text("Ferry runs again")
    await expect(page.locator(".item.open .correction button", has_text="Not breaking")).to_be_hidden()


async def test_filters_and_search(page: Page, gateway: Gateway) -> None:
    gateway.send(*three_languages())
    await opened(page, gateway)
    await page.select_option("#filter-lang", "ar")
    await expect(cards(page)).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"\?lang=ar$"))
    await page.click("#filters-clear")
    await expect(cards(page)).to_have_count(3)
    for choice, value, title in [
        ("#filter-topic", "economy", BARGE),
        ("#filter-topic", "none", POWER),
        ("#filter-source", "al-nahr.example", AIRPORT),
    ]:
        await page.select_option(choice, value)
        await expect(cards(page)).to_have_count(1)
        await expect(cards(page)).to_contain_text(title)
        await page.click("#filters-clear")
    # Without the hamza, with tashkeel, teh marbuta as heh; accents; case; words in any order.
    for query, title in [
        ("اغلاق المدينه", AIRPORT),
        ("عَاصِفَة", AIRPORT),
        ("electricite geante", POWER),
        ("SALT barge", BARGE),
    ]:
        await page.fill("#q", query)
        await expect(cards(page)).to_have_count(1)
        await expect(cards(page)).to_contain_text(title)
    await page.fill("#q", "zebra")
    await expect(page.get_by_text("Nothing matches")).to_be_visible()
    gateway.send(alert("A zebra in the tram"))
    await expect(cards(page)).to_have_count(1)


async def test_a_filter_is_kept_in_the_address(page: Page, gateway: Gateway) -> None:
    gateway.send(*three_languages())
    await opened(page, gateway, "?lang=fr&q=panne")
    await expect(cards(page)).to_have_count(1)
    await expect(page.locator("#q")).to_have_value("panne")
    await expect(page.locator("#filter-lang")).to_have_value("fr")


async def test_the_search_folds_as_the_model_does(page: Page, gateway: Gateway) -> None:
    await opened(page, gateway)
    samples = [
        "أُسْــتــاذٌ، مدرســةٌ ١٢٣ Élysée-2",
        "L'ÉLYSÉE : œuvre, naïve; straße",
        "إلى آخر الطريق ٱلكبير ۴۵ کتاب یک",
        "a\u200fb\u00adc «d» [e]",
    ]
    for sample in samples:
        folded = await page.evaluate("async text => (await import('/static/fold.js')).fold(text)", sample)
        assert folded.split() == fold(sample).split()


async def test_a_story_opens_to_its_articles_and_reasons(page: Page, gateway: Gateway) -> None:
    articles = [
        article("north.example", BARGE, ago=600),
        article("harbour.example", "Salt River: barge hits pier", ago=300, similarity=0.71, shared=["barge", "river"]),
    ]
    told = alert(BARGE, reasons=["marker", "urgency"], articles=articles[:1], ago=500)
    gateway.send(told)
    gateway.stories[told.story_id or ""] = story(told, articles=articles, article_count=9)
    await opened(page, gateway)
    await page.get_by_role("button", name=BARGE).click()
    details = page.locator(".item.open .details")
    await expect(details).to_contain_text("Its source marked it as urgent.")
    listed = details.locator(".articles li")
    await expect(listed).to_have_count(2)
    await expect(listed.nth(0)).to_contain_text("opened the story")
    await expect(listed.nth(1)).to_contain_text("71% alike")
    await expect(listed.nth(1).locator(".word")).to_have_text(["barge", "river"])
    await expect(listed.nth(1)).to_contain_text(re.compile(r"published \d\d:\d\d · received \d\d:\d\d"))
    await expect(details).to_contain_text("+7")
    link = listed.nth(1).get_by_role("link")
    await expect(link).to_have_attribute("href", re.compile("^https://harbour.example/"))
    await expect(link).to_have_attribute("rel", "noopener noreferrer")


async def test_a_story_that_is_not_kept_any_more_shows_what_the_alert_said(page: Page, gateway: Gateway) -> None:
    gateway.send(alert(BARGE))
    await opened(page, gateway)
    await page.get_by_role("button", name=BARGE).click()
    await expect(page.locator(".details")).to_contain_text("not kept any more")
    await expect(page.locator(".articles li")).to_have_count(1)


async def test_stories_come_by_themselves(page: Page, gateway: Gateway) -> None:
    await page.clock.install()
    quiet = alert(BARGE, ago=60)
    gateway.stories["quiet"] = story(quiet, revision=0, alerted_at=None, reasons=[])
    await opened(page, gateway, "?view=stories")
    await expect(card(page, BARGE)).to_have_attribute("data-kind", "story")
    gateway.stories["quiet"] = story(alert("Bridge shut", "confirmed", name=BARGE))
    await page.clock.run_for(11_000)
    await expect(card(page, "Bridge shut")).to_have_attribute("data-kind", "confirmed")
    await expect(cards(page)).to_have_count(1)


async def test_the_keyboard_alone(page: Page, gateway: Gateway) -> None:
    gateway.send(*three_languages())
    await opened(page, gateway)
    await expect(cards(page)).to_have_count(3)
    focused = page.locator(":focus")
    await page.keyboard.press("j")
    await expect(focused).to_have_text(AIRPORT)
    await page.keyboard.press("j")
    await expect(focused).to_have_text(POWER)
    await page.keyboard.press("ArrowDown")
    await expect(focused).to_have_text(BARGE)
    await page.keyboard.press("k")
    await expect(focused).to_have_text(POWER)
    assert await focused.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    await page.keyboard.press("Enter")
    await expect(page.locator(".item.open")).to_contain_text(POWER)
    gateway.send(alert("Another one"))
    await expect(cards(page)).to_have_count(4)
    await expect(focused).to_have_text(POWER)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Escape")
    await expect(page.locator(".item.open")).to_have_count(0)
    await expect(focused).to_have_text(POWER)
    await page.keyboard.press("/")
    await page.keyboard.type("jk?")
    await expect(page.locator("#q")).to_have_value("jk?")


async def test_single_key_shortcuts_can_be_turned_off(page: Page, gateway: Gateway) -> None:
    gateway.send(alert(BARGE))
    await opened(page, gateway)
    await page.keyboard.press("?")
    await page.get_by_label("Single-key shortcuts are on").uncheck()
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await expect(page.locator(".headline:focus")).to_have_count(0)


async def test_not_breaking_withdraws_the_alert(page: Page, gateway: Gateway) -> None:
    told = alert(BARGE)
    gateway.send(told)
    await opened(page, gateway)
    await page.get_by_role("button", name=BARGE).click()
    await page.get_by_role("button", name="Not breaking").click()
    assert gateway.feedback == []  # it asks first: every subscriber would hear of it
    await page.get_by_label("Note").fill("an exercise")
    await page.get_by_label("Your name").fill("Nour")
    await page.get_by_role("button", name="Withdraw the alert").click()
    await expect(page.locator(".said")).to_contain_text("Sent")
    assert gateway.feedback == [Feedback(alert_id=told.alert_id, withdraw=True, by="Nour", note="an exercise")]
    gateway.send(alert(BARGE, "retracted", reasons=["withdrawn"]))
    await expect(card(page, BARGE).locator("s")).to_be_visible()
    await expect(page.get_by_role("button", name="Not breaking")).to_be_hidden()


async def test_wrong_topic_says_the_right_one(page: Page, gateway: Gateway) -> None:
    told = alert(BARGE, topic="politics")
    gateway.send(told)
    await opened(page, gateway)
    await page.get_by_role("button", name=BARGE).click()
    await page.get_by_role("button", name="Wrong topic").click()
    choice = page.get_by_label("Right topic")
    await expect(choice).not_to_contain_text("Politics")
    await choice.select_option("economy")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".said")).to_contain_text("Economy")
    assert gateway.feedback == [Feedback(alert_id=told.alert_id, topic="economy")]


async def test_feedback_that_was_not_taken_says_so_and_can_be_sent_again(page: Page, gateway: Gateway) -> None:
    gateway.send(alert(BARGE))
    await opened(page, gateway)
    await page.get_by_role("button", name=BARGE).click()
    await page.get_by_role("button", name="Not breaking").click()
    gateway.failure = 503
    await page.get_by_role("button", name="Withdraw the alert").click()
    await expect(page.locator(".said")).to_have_text("Not sent: Kafka is away")
    gateway.failure = None
    await page.get_by_role("button", name="Withdraw the alert").click()
    await expect(page.locator(".said")).to_contain_text("Sent")
    assert len(gateway.feedback) == 1


async def test_a_reader_that_is_cut_off_loses_and_repeats_nothing(page: Page, gateway: Gateway) -> None:
    await opened(page, gateway)
    for number in range(12):
        gateway.send(*(alert(f"Report {number}.{part}") for part in range(10)))
        if number % 4 == 1:
            gateway.cut()
            gateway.send(alert(f"Cut {number}"))
            await gateway.came_back.wait()
        if number == 6:
            await gateway.stop()
            await expect(page.locator("#state")).to_have_attribute("data-state", re.compile("waiting|connecting"))
            gateway.send(*(alert(f"Meanwhile {part}") for part in range(5)))
            await gateway.start()
        await is_live(page)
    await expect(cards(page)).to_have_count(128)
    titles = await page.locator(".headline").all_text_contents()
    assert len(set(titles)) == 128
    # It came back to where it was, three cuts and a restart, and did not begin anew.
    assert gateway.readers == 5
    assert None not in gateway.resumed


async def test_what_the_stream_can_no_longer_give_is_read_from_the_list(page: Page, gateway: Gateway) -> None:
    gateway.send(alert("Before"))
    await opened(page, gateway)
    await gateway.stop()
    gateway.send(*(alert(f"Report {number}") for number in range(4)))
    gateway.first_offset = 3  # of five alerts the first three have expired
    await gateway.start()
    await expect(card(page, "Report 2")).to_be_visible()
    await expect(card(page, "Report 3")).to_be_visible()
    await expect(cards(page)).to_have_count(3)


async def test_strings_of_a_feed_are_never_markup(page: Page, gateway: Gateway) -> None:
    nasty = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    articles = [
        article("<b>outlet</b>", nasty, url="javascript:alert(3)"),
        article(
            "two.example", nasty, url="data:text/html,<script>alert(4)</script>", similarity=0.5, shared=["<i>w</i>"]
        ),
        article("three.example", "Fine", url='https://three.example/"onmouseover=alert(5)'),
    ]
    told = alert(nasty, topic="<u>topic</u>", reasons=["<s>reason</s>"], lang='x"><script>', articles=articles)
    gateway.send(told, summary(nasty))
    gateway.stories[told.story_id or ""] = story(told)
    page.on("dialog", lambda dialog: pytest.fail(f"a feed's script ran: {dialog.message}"))
    await opened(page, gateway)
    await page.locator(".headline", has_text="onerror").click()
    await expect(page.locator(".articles li")).to_have_count(3)
    assert await page.locator(".item :is(img, script, b, i, u, iframe)").count() == 0
    assert await page.locator(".item s").count() == 0
    assert await page.locator(".articles a").evaluate_all("links => links.map(a => a.protocol)") == ["https:"]
    await page.fill("#q", nasty)
    await expect(cards(page)).to_have_count(2)


async def test_the_document_keeps_a_bounded_number_of_cards(page: Page, gateway: Gateway) -> None:
    await opened(page, gateway)
    gateway.send(*(alert(f"Report {number}", ago=2000 - number) for number in range(1200)))
    await expect(cards(page).first).to_contain_text("Report 1199")
    await expect(cards(page)).to_have_count(300)
    await expect(page.locator("#count")).to_have_text("300 / 1,000")


async def test_a_token_is_asked_for_and_used(page: Page, gateway: Gateway) -> None:
    gateway.send(alert(BARGE))
    gateway.needs_token = True
    await page.goto(gateway.url)
    await page.get_by_label("Token").fill("not the token")
    await page.get_by_role("button", name="Use token").click()
    await expect(page.get_by_role("alert")).to_have_text("The server did not accept this token.")
    await page.get_by_label("Token").fill(TOKEN)
    await page.get_by_role("button", name="Use token").click()
    await expect(card(page, BARGE)).to_be_visible()
    await expect(page.locator("#token-form")).to_be_hidden()
    assert await page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]


async def test_a_server_that_is_away_is_told_and_waited_for(page: Page, gateway: Gateway) -> None:
    gateway.failure = 503
    await page.goto(gateway.url)
    await expect(page.locator("#panel")).to_contain_text("Kafka is away")
    gateway.failure = None
    gateway.send(alert(BARGE))
    await page.get_by_role("button", name="Try now").click()
    await expect(card(page, BARGE)).to_be_visible()
    await expect(page.locator("#panel")).to_be_hidden()


async def test_nothing_yet(page: Page, gateway: Gateway) -> None:
    await opened(page, gateway)
    await expect(page.get_by_text("Nothing yet")).to_be_visible()


async def test_sound_and_notifications_only_on_request(context: BrowserContext, page: Page, gateway: Gateway) -> None:
    await page.add_init_script("""
        globalThis.sounds = 0;
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (...given) { sounds += 1; return start.apply(this, given); };
        globalThis.notified = [];
        globalThis.asked = 0;
        globalThis.Notification = class {
          static permission = "default";
          static async requestPermission() { asked += 1; return Notification.permission = "granted"; }
          constructor(title, options) {
            notified.push([title, options.tag]);
            document.body.dataset.notified = notified.length;
          }
        };
    """)
    await opened(page, gateway)
    gateway.send(alert("The first"))
    await expect(card(page, "The first")).to_be_visible()
    assert await page.evaluate("[sounds, notified.length, asked]") == [0, 0, 0]
    await page.get_by_role("button", name="Sound for new alerts").click()
    await page.get_by_role("button", name="Desktop notifications").click()
    await expect(page.get_by_role("button", name="Desktop notifications")).to_have_attribute("aria-pressed", "true")
    before = await page.evaluate("sounds")
    told = alert("The second")
    gateway.send(told)
    await expect(page.locator("body")).to_have_attribute("data-notified", "1")
    assert await page.evaluate("notified") == [["Breaking: The second", told.alert_id]]
    assert await page.evaluate("sounds") > before
    assert await page.evaluate("asked") == 1


async def test_a_burst_is_announced_as_a_number(page: Page, gateway: Gateway) -> None:
    await opened(page, gateway)
    gateway.send(alert("The first"))
    await expect(page.locator("#said")).to_contain_text("The first")
    gateway.send(*(alert(f"Report {number}") for number in range(40)))
    await expect(page.locator("#said")).to_contain_text("40 new alerts")
    assert await page.locator("#said p").count() <= 2


async def test_new_alerts_are_counted_while_one_reads_below(page: Page, gateway: Gateway) -> None:
    gateway.send(*(alert(f"Report {number}") for number in range(60)))
    await opened(page, gateway)
    await expect(cards(page)).to_have_count(60)
    await page.evaluate("scrollTo(0, 1500)")
    gateway.send(alert("Newer", ago=1), alert("Newest"))
    await page.get_by_role("button", name="2 new alerts").click()
    await expect(page.locator(":focus")).to_have_text("Newest")
    await expect(page.locator("#fresh")).to_be_hidden()


async def test_arabic_and_english(page: Page, gateway: Gateway) -> None:
    gateway.send(*three_languages())
    await opened(page, gateway)
    await page.get_by_role("button", name="العربية").click()
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    await expect(page.locator("#view-alerts")).to_have_text("التنبيهات")
    await expect(card(page, BARGE).locator(".body")).to_have_attribute("dir", "ltr")
    await expect(card(page, BARGE).locator(".kind")).to_have_text("عاجل")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "ar")
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("html")).to_have_attribute("dir", "ltr")


async def test_times_are_in_the_readers_zone(page: Page, gateway: Gateway) -> None:
    told = alert(BARGE, ago=7200)
    gateway.send(told)
    await opened(page, gateway)
    time = card(page, BARGE).locator(".rail time").first
    shown = told.alerted_at.astimezone(ZoneInfo("Africa/Cairo")).strftime("%H:%M")
    assert (await time.text_content() or "").endswith(shown)
    assert shown in (await time.get_attribute("title") or "")
    await expect(card(page, BARGE).locator(".rail time").nth(1)).to_have_text("2 hr ago")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ar"])
async def test_axe_finds_nothing(page: Page, gateway: Gateway, axe: str, scheme: str, language: str) -> None:
    articles = [article("a.example", BARGE), article("b.example", "Barge hits", similarity=0.6, shared=["barge"])]
    told = alert(BARGE, "confirmed", articles=articles, ago=30)
    gateway.send(*three_languages()[1:], alert("Gone", "retracted", reasons=["withdrawn"]), summary("One", "Two"), told)
    gateway.stories[told.story_id or ""] = story(told)
    await page.add_init_script(f"localStorage.setItem('ajil.locale', '{language}')")
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await opened(page, gateway)
    await page.locator(".headline", has_text=BARGE).click()
    await expect(page.locator(".articles li")).to_have_count(2)
    await page.locator(".item.open .correction button:visible").last.click()
    await found_by(page, axe)
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await found_by(page, axe)
    await page.keyboard.press("Escape")
    await page.fill("#q", "zebra")
    await expect(page.locator("#panel")).to_be_visible()
    await found_by(page, axe)
    gateway.needs_token = True
    await page.reload()
    await expect(page.locator("#token-form")).to_be_visible()
    await found_by(page, axe)


async def found_by(page: Page, axe: str) -> None:
    await page.evaluate(axe)
    report = await page.evaluate("axe.run()")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in report["violations"]] == []


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_a_narrow_page_needs_no_sideways_scrolling(page: Page, gateway: Gateway, language: str) -> None:
    long = alert("ب" * 120, lang="ar", articles=[article("o" * 90, "x" * 90)])
    gateway.send(alert("W" * 120), long, *three_languages())
    await page.add_init_script(f"localStorage.setItem('ajil.locale', '{language}')")
    await page.set_viewport_size({"width": 320, "height": 640})
    await opened(page, gateway)
    await expect(cards(page)).to_have_count(5)
    await page.get_by_role("button", name="ب" * 10).click()
    await expect(page.locator(".articles li")).to_have_count(1)
    assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def test_the_policy_holds_off_what_is_not_the_pages_own(page: Page, gateway: Gateway) -> None:
    await opened(page, gateway)
    names = await page.evaluate("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)")
    assert set(names) == {gateway.url}
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=", html)


async def test_the_page_weighs_under_60_kb() -> None:
    files = [file for file in PAGE.iterdir() if file.is_file()]
    assert {file.suffix for file in files} == {".html", ".css", ".js"}
    assert sum(file.stat().st_size for file in files) < 60_000
