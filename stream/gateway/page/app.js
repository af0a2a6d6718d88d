// The live page: what the server tells goes into the store, the store into cards.

import { Stream, get, post, signIn } from "./api.js";
import { Card } from "./card.js";
import { el, refreshTimes } from "./dom.js";
import { Notices } from "./notices.js";
import { Store } from "./store.js";
import { count, direction, keyNames, kindName, languageName, locale, setLocale, text, topicLabels, topicName } from "./texts.js";

const CARDS = 300; // in the document at once; a search or a filter brings up the others
const LIST = 500; // the most that the server lists at once
const STORIES_FIRST = 300;
const STORIES_AGAIN = 50; // the latest updated: what changed since the last look
const STORIES_EVERY = 10000;
const NEWS_AGE = 600000; // an older alert, caught up with after a cut, is shown but neither sounds nor notifies
const RENDER_AFTER = 40; // a burst of alerts is one change of the document
const FILTERS = ["lang", "topic", "source", "kind"];

const find = (id) => document.getElementById(id);
const on = (id, type, listener) => find(id).addEventListener(type, listener);
const list = find("list");
const store = new Store();
const cards = new Map();
const query = new URLSearchParams(location.search);
const filter = { q: query.get("q") ?? "" };
for (const name of FILTERS) filter[name] = query.get(name) ?? "";
let view = query.get("view") === "stories" ? "stories" : "alerts";
let state = "connecting";
let failure = null;
let asksToken = false;
const loaded = { alerts: false, stories: false };
const unseen = new Set();

let renderTimer = null;
const renderSoon = () => { renderTimer ??= setTimeout(render, RENDER_AFTER); };

function render() {
	clearTimeout(renderTimer);
	renderTimer = null;
	const found = store.select(view, filter);
	const shown = new Map(found.slice(0, CARDS).map((item) => [item.key, item]));
	for (const [key, card] of cards) {
		if (!shown.has(key)) {
			card.root.remove();
			cards.delete(key);
		}
	}
	let place = list.firstChild;
	for (const item of shown.values()) {
		let card = cards.get(item.key);
		if (!card) cards.set(item.key, card = new Card(item, desk));
		else if (card.item !== item) card.update(item);
		if (card.root === place) place = place.nextSibling;
		else list.insertBefore(card.root, place);
	}
	renderChoices();
	renderFrame(found.length, shown.size);
}

/** Everything round the list. */
function renderFrame(found, shown) {
	const all = store.items(view).size;
	const troubled = failure && !failure.isRefusal && !all;
	find("token-form").hidden = !asksToken;
	find("loading").hidden = loaded[view] || troubled || asksToken;
	const panel = find("panel");
	panel.hidden = !troubled && (!loaded[view] || found > 0);
	const says = troubled ? "trouble" : all ? "unmatched" : "empty";
	panel.children[0].textContent = text(`${says}Title`);
	panel.children[1].textContent = troubled && failure.status ? failure.message : text(`${says}Text`);
	panel.children[2].hidden = !troubled;
	find("count").textContent = found ? [...new Set([shown, all])].map(count).join(" / ") : "";
	list.ariaBusy = !loaded[view];
	const chosen = FILTERS.filter((name) => filter[name]).length;
	find("filters-count").textContent = chosen ? ` (${count(chosen)})` : "";
	find("filters-clear").hidden = !chosen && !filter.q;
	find("fresh").hidden = !unseen.size || scrollY < 200;
	find("fresh").textContent = text("fresh", { n: unseen.size });
	document.title = (document.hidden && unseen.size ? `(${count(unseen.size)}) ` : "") + text("title");
}

function renderChoices() {
	const choices = store.choices(view);
	for (const label of topicLabels) choices.topic.add(label);
	const name = { lang: languageName, topic: (label) => topicName(label === "none" ? null : label), source: String, kind: kindName };
	for (const of of FILTERS) {
		const select = find(`filter-${of}`);
		if (filter[of]) choices[of].add(filter[of]);
		const options = [...choices[of]].map((value) => [value, name[of](value)]);
		options.sort(([, a], [, b]) => a.localeCompare(b, locale));
		const known = `${locale} ${options}`;
		// Not while it is open: a list that changes under the hand is chosen from wrongly.
		if (select.dataset.known !== known && document.activeElement !== select) {
			select.dataset.known = known;
			select.replaceChildren(el("option", { value: "" }, text(`any.${of}`)),
				...options.map(([value, words]) => el("option", { value }, words)));
		}
		select.value = filter[of];
	}
}

const desk = {
	async loadStory(id) {
		const story = await get(`v1/stories/${encodeURIComponent(id)}`);
		store.addStory(story);
		return story;
	},
	async send(feedback) {
		try {
			await post("v1/feedback", feedback);
		} catch (error) {
			if (error.isRefusal) askToken(error);
			throw error;
		}
	},
	topics: () => [...new Set([...topicLabels, ...store.choices(view).topic])].filter((topic) => topic !== "none"),
	openStory(id) {
		resetFilter();
		show("stories", id);
	},
};

async function loadAlerts() {
	const { alerts, position } = await get(`v1/alerts?limit=${LIST}`);
	for (const alert of alerts) store.addAlert(alert);
	loaded.alerts = true;
	renderSoon();
	return position;
}

async function loadStories(limit) {
	const { stories } = await get(`v1/stories?state=any&limit=${limit}`);
	for (const story of stories) store.addStory(story);
	loaded.stories = true;
	renderSoon();
}

const stream = new Stream({
	load: loadAlerts,
	onState(told, error = null) {
		state = told;
		failure = told === "live" ? null : error ?? failure;
		find("state").dataset.state = state;
		find("state-text").textContent = text(`state.${state}`);
		if (state === "locked") askToken(error);
		if (state === "live") {
			asksToken = false;
			pollStories();
		}
		renderSoon();
	},
	onEvent({ event, data }) {
		// Some have expired on the server: the list has what there is.
		if (event === "reset") loadAlerts().catch(() => {});
		const item = event === "reset" ? null : store.addAlert(JSON.parse(data));
		if (!item) return;
		if (item.kind !== "updated" && Date.now() - item.changedAt < NEWS_AGE) notices.tell(item);
		if (item.kind === "opened" && (document.hidden || scrollY >= 200)) unseen.add(item.key);
		renderSoon();
	},
});

async function pollStories() {
	if (view !== "stories" || state !== "live" || document.hidden) return;
	try {
		await loadStories(loaded.stories ? STORIES_AGAIN : STORIES_FIRST);
	} catch {
		// The next look comes soon, and the stream tells whether the server is away.
	}
}

function keepAddress() {
	for (const [name, value] of Object.entries({ ...filter, view: view === "stories" ? view : "" })) {
		if (value) query.set(name, value);
		else query.delete(name);
	}
	history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

function show(wanted, story = null) {
	view = wanted;
	for (const name of ["alerts", "stories"]) find(`view-${name}`).ariaCurrent = name === view ? "page" : null;
	find("view-title").textContent = text(view);
	if (story) query.set("story", story);
	else query.delete("story");
	keepAddress();
	cards.clear();
	list.replaceChildren();
	render();
	pollStories();
	if (story) openLinked(story);
}

/** Opens the story that the address names. */
async function openLinked(id) {
	try {
		const story = await desk.loadStory(id);
		render();
		const card = cards.get(story.alert_id);
		card?.toggle(true);
		card?.headline.focus();
	} catch {
		query.delete("story");
		keepAddress();
	}
}

function readFilter() {
	filter.q = find("q").value;
	for (const name of FILTERS) filter[name] = find(`filter-${name}`).value;
	keepAddress();
	render();
}

function resetFilter() {
	find("q").value = filter.q = "";
	for (const name of FILTERS) filter[name] = "";
	keepAddress();
	render();
}

on("filters", "input", readFilter);
on("filters", "submit", (event) => event.preventDefault());
on("filters-clear", "click", () => {
	resetFilter();
	find("q").focus();
});
on("filters-open", "click", ({ currentTarget }) => {
	currentTarget.ariaExpanded = find("selects").classList.toggle("open");
});
for (const name of ["alerts", "stories"]) {
	on(`view-${name}`, "click", (event) => {
		if (event.metaKey || event.ctrlKey || event.shiftKey) return;
		event.preventDefault();
		show(name);
	});
}

function askToken(error) {
	if (asksToken) return;
	asksToken = true;
	find("token-wrong").textContent = error.status === 403 ? error.message : "";
	render();
	find("token").focus();
}

on("token-form", "submit", async (event) => {
	event.preventDefault();
	try {
		await signIn(find("token").value.trim());
		find("token").value = "";
		asksToken = false;
		stream.retry();
	} catch (error) {
		find("token-wrong").textContent = error.isRefusal ? text("tokenWrong") : error.message || text("troubleText");
	}
	renderSoon();
});

const notices = new Notices(find("said"), (item) => {
	show("alerts");
	cards.get(item.key)?.toggle(true);
	cards.get(item.key)?.headline.focus();
});

function showPressed() {
	for (const [id, pressed] of [["sound", notices.sound], ["notify", notices.desktop], ["theme", isDark()]]) {
		find(id).ariaPressed = pressed;
	}
}

const root = document.documentElement;
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
const kept = localStorage.getItem("ajil.theme");
if (kept) root.dataset.theme = kept;
systemDark.addEventListener("change", showPressed);

on("sound", "click", () => {
	notices.toggleSound();
	showPressed();
});
on("notify", "click", async () => {
	await notices.toggleDesktop();
	showPressed();
});
on("theme", "click", () => {
	root.dataset.theme = isDark() ? "light" : "dark";
	localStorage.setItem("ajil.theme", root.dataset.theme);
	showPressed();
});

function speak(language) {
	setLocale(language);
	Object.assign(root, { lang: locale, dir: direction() });
	for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
	for (const element of document.querySelectorAll("[data-label]")) {
		element.ariaLabel = text(element.dataset.label);
		if (element.matches("button")) element.title = element.ariaLabel;
		else if (element.matches("input")) element.placeholder = element.ariaLabel;
	}
	Object.assign(find("language"), { textContent: text("other"), lang: locale === "ar" ? "en" : "ar" });
	find("state-text").textContent = text(`state.${state}`);
	find("keys").replaceChildren(...keyNames.map((key) =>
		el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, text(`keys.${key}`)))));
}

on("language", "click", () => {
	const open = [...cards.values()].filter((card) => card.isOpen).map((card) => card.item.key);
	speak(locale === "ar" ? "en" : "ar");
	localStorage.setItem("ajil.locale", locale);
	show(view, query.get("story"));
	for (const key of open) cards.get(key)?.toggle(true);
});

let shortcuts = localStorage.getItem("ajil.shortcuts") !== "off";
find("shortcuts").checked = shortcuts;
on("shortcuts", "change", ({ currentTarget }) => {
	shortcuts = currentTarget.checked;
	localStorage.setItem("ajil.shortcuts", shortcuts ? "on" : "off");
});
on("help-close", "click", () => find("help").close());
const openHelp = () => find("help").showModal();
on("help-open", "click", openHelp);

function move(step) {
	const headlines = [...list.querySelectorAll(".headline")];
	const current = headlines.indexOf(document.activeElement.closest(".item")?.querySelector(".headline"));
	headlines[Math.max(0, Math.min(headlines.length - 1, current + step))]?.focus();
}

const KEYS = {
	j: () => move(1),
	k: () => move(-1),
	"/": () => find("q").focus(),
	"?": openHelp,
};

addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || find("help").open) return;
	const { target, key } = event;
	if (key === "Escape" && target.closest?.(".item")) {
		const card = [...cards.values()].find(({ root }) => root.contains(target));
		card.toggle(false);
		card.headline.focus();
	} else if (target.matches?.(".headline") && (key === "ArrowDown" || key === "ArrowUp")) {
		event.preventDefault();
		move(key === "ArrowDown" ? 1 : -1);
	} else if (shortcuts && Object.hasOwn(KEYS, key) && !target.matches?.("input, select, textarea")) {
		event.preventDefault();
		KEYS[key]();
	}
});

function seen() {
	if (document.hidden || scrollY >= 200 || !unseen.size) return;
	unseen.clear();
	renderSoon();
}
addEventListener("scroll", seen, { passive: true });
document.addEventListener("visibilitychange", () => {
	seen();
	pollStories();
});
on("fresh", "click", () => {
	scrollTo({ top: 0 });
	list.querySelector(".headline")?.focus();
});
on("retry", "click", () => stream.retry());
setInterval(refreshTimes, 15000);
setInterval(pollStories, STORIES_EVERY);

find("q").value = filter.q;
speak(localStorage.getItem("ajil.locale") ?? navigator.language.split("-")[0]);
showPressed();
show(view, query.get("story"));
